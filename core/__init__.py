"""Orrery's vocabulary and engine: no Streamlit, no network, no store in here."""
