"""The theme that is copied is the one that Streamlit would write."""

from __future__ import annotations

import pytest
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

from components._compat import write_theme_once


@pytest.mark.parametrize("section", ["theme", *(
    f"theme.{one.value}" for one in config.CustomThemeCategories)])
def test_it_is_the_same(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.runtime.app_session import _populate_theme_msg as original

    monkeypatch.setattr(app_session, "_populate_theme_msg", getattr(original, "plain", original))
    wanted = CustomThemeConfig()
    app_session._populate_theme_msg(wanted, section)
    write_theme_once()
    for _ in range(2):
        found = CustomThemeConfig()
        app_session._populate_theme_msg(found, section)
        assert found == wanted
