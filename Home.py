"""Orrery: `streamlit run Home.py`."""

from components import frame

frame.run()
