"""The extras of the package that are no parts of s2fin."""

from __future__ import annotations

#: What those need who change it.
FOR_DEVELOPERS = {"dev", "docs", "gallery", "release"}
