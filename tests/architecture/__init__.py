"""What holds the house together: layers, style, hygiene, lazy imports, benches that run."""
