"""The page that shows and tries every route, without anything from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse

from eventstore import NotFound

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parents[1] / "docs"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}
_ASSETS: Final = {
    "start.js": (_FOLDER / "start.js", "text/javascript"),
    "swagger-ui-bundle.js": (_FOLDER / "swagger-ui" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_FOLDER / "swagger-ui" / "swagger-ui.css", "text/css"),
}


@router.get("/docs")
async def page() -> FileResponse:
    return FileResponse(_FOLDER / "index.html", media_type="text/html", headers=_HEADERS)


@router.get("/docs/{asset}")
async def get_asset(asset: str) -> FileResponse:
    if asset not in _ASSETS:
        raise NotFound(f"the page /docs has no {asset[:60]!r}")
    path, media_type = _ASSETS[asset]
    return FileResponse(path, media_type=media_type, headers=_HEADERS)
