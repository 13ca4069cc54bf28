"""Names of fields: which fields number classes, which name them, and which belong together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Field names that are taken when several fields could hold the class.
USUAL_FIELDS = (
    "class", "classname", "class_name", "label", "landcover", "land_cover", "lulc", "category",
    "clase", "classe", "klasse", "klas", "klassenname", "klass", "klasa", "trida", "luokka", "razred",
)  # fmt: skip
#: Those of them that fields of other texts have too.
VAGUE_FIELDS = ("label", "category")
#: Field names of texts that name the classes' numbers.
NAME_FIELDS = (
    *USUAL_FIELDS, "class_label", "label_name", "landcover_name", "name", "type", "kind", "text", "legend",
    "description", "desc", "cover", "cover_type", "lc", "landuse", "land_use", "habitat", "vegetation", "crop",
    "crop_name", "species", "nom", "nombre", "nome", "naam", "namn", "nazwa", "libelle", "legende", "leyenda",
    "legenda", "categoria", "categorie", "kategorie", "tipo", "typ", "bezeichnung", "bezeichnun", "beschreibung",
    "nutzung", "nutzungsart", "nutzart", "cultivo", "culture",
)  # fmt: skip
#: Words at the end (or start) of a field's name that say that it numbers classes, and that it names them.
_NUMBER_WORDS = (
    "id", "code", "value", "val", "nr", "no", "num", "number", "key", "cd", "cod", "codigo", "kode", "nummer", "index",
    "idx", "wert", "numero",
)  # fmt: skip
_NAME_WORDS = (
    "name", "label", "text", "txt", "desc", "descr", "description", "info", "title", "nom", "nombre", "nome", "naam",
    "libelle", "lib", "bezeichnung", "bez", "nm", "type",
)  # fmt: skip
_LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "no", "nb", "fi", "cs", "sk", "sl", "hr", "hu", "ro",
    "bg", "el", "ru", "uk", "tr", "ar", "zh", "ja", "ko", "vi", "eng", "ger", "deu", "fra", "spa", "por", "ita",
)  # fmt: skip
#: Names of fields that number the features themselves.
ID_FIELDS = ("fid", "id", "objectid", "ogc_fid", "gid", "index", "uuid")
#: Those that GDAL gives every feature of a KML file.
KML_FIELDS = ("tessellate", "extrude", "visibility", "draworder", "altitudemode", "icon", "timestamp", "begin", "end")


def paired_fields(field: str, others: Sequence[str]) -> list[str]:
    """The other fields that are named as `field` with another ending."""
    stem = _stem(field, _NUMBER_WORDS)
    return [name for name in others if name != field and stem and _stem(name, _NAME_WORDS) == stem]


def _words(name: str) -> list[str]:
    """The words of a field's name in lower case: "LULC_ID" and "lulcId" have two."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _stem(name: str, words: Sequence[str]) -> str:
    """A field's name without a first or last word of some, which may be joined to the rest ("Classvalue")."""
    parts = _words(without_language(name))
    if len(parts) > 1:
        parts = parts[:-1] if parts[-1] in words else parts[1:] if parts[0] in words else parts
        return "".join(parts)
    whole = "".join(parts)
    ending = next((word for word in words if len(word) > 2 and whole.endswith(word) and whole != word), "")
    return whole.removesuffix(ending)


def without_language(name: str) -> str:
    """A field's name in lower case without a language at its end: "name" of "name_de"."""
    return re.sub(rf"[_:. ](?:{'|'.join(_LANGUAGES)})$", "", name.lower())
