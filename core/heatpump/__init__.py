"""Heat pumps: how their registers are read, and what their log says of them."""
