"""The class field of a vector file: which one it is, and the numbers and names of its classes."""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2fin_cli.core.classes import MAX_CLASS_ID, check_class_ids, normalized
from s2fin_cli.core.errors import LabelError, shortened
from s2fin_cli.vector.texts import DOUBTFUL_WORDS, NULL_WORDS, is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass

logger = logging.getLogger(__name__)

#: A class number as a text: without zeros before it.
_NUMBER = r"(?:0|[1-9]\d{0,4})(?:[.,]0+)?"
#: Field names that are taken when several fields could hold the class.
USUAL_FIELDS = (
    "class", "classname", "class_name", "label", "landcover", "land_cover", "lulc", "category",
    "clase", "classe", "klasse", "klas", "klassenname", "klass", "klasa", "trida", "luokka", "razred",
)  # fmt: skip
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


def class_field(frame: gpd.GeoDataFrame, src_path: str | Path, *, label_field: str | None) -> str:
    """The field that holds the class: the one named, else the only one that can be it.

    Raises:
        LabelError: the named field is missing or of the wrong type, or the choice is not clear.
    """
    fields = [str(name) for name in frame.columns if name != frame.geometry.name]
    if label_field is not None:
        alike = [name for name in fields if normalized(name) == normalized(label_field)]
        if label_field not in fields and len(alike) == 1:
            label_field = alike[0]
        if label_field not in fields:
            raise LabelError(f"{src_path} has no field {label_field!r}; its fields are: {', '.join(fields) or 'none'}")
        _check_values(frame[label_field], label_field, src_path)
        return label_field
    if not fields:
        raise LabelError(f"{src_path} has no attribute fields; add a text field that names each feature's class")
    candidates = _candidate_fields(frame, fields)
    usual = [name for name in candidates if name.lower() in USUAL_FIELDS]
    # A number and a name of the same classes: both are kept.
    chosen = _number_of_pair(frame, candidates) or _number_of_pair(frame, usual)
    if not chosen:
        chosen = candidates if len(candidates) == 1 else usual
    if len(chosen) != 1:
        for name in fields if not candidates else ():
            if name.lower() in USUAL_FIELDS:
                _check_values(frame[name], name, src_path)  # which says what is wrong with it
        found = (
            f"could be any of {', '.join(candidates)}" if candidates else f"is none of {', '.join(fields) or '(none)'}"
        )
        raise LabelError(
            f"{src_path}: which field holds the class is not clear, it {found}; name it with --label-field"
        )
    logger.info("labels: the classes of %s are taken from its field %r", src_path, chosen[0])
    return chosen[0]


def _number_of_pair(frame: gpd.GeoDataFrame, fields: Sequence[str]) -> list[str]:
    """Of a field with numbers and another that names them, the former; else none."""
    numbers = [name for name in fields if _is_whole_number(frame[name])]
    numbers = numbers or [name for name in fields if _is_number_in_text(frame[name])]
    is_pair = len(fields) == 2 and len(numbers) == 1 and names_field(frame, numbers[0]) in fields
    return numbers if is_pair else []


def _check_values(values: pd.Series, field: str, src_path: str | Path) -> None:
    """Refuse a field that can hold no classes."""
    known = values[_is_known(values)]
    if known.empty:
        raise LabelError(f"{src_path}: field {field!r} is empty in every feature; fill it in, or name another field")
    if not is_text(values) and not _is_whole_number(values):
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        strange = known[~_are_whole(known)] if is_number else known
        raise LabelError(
            f"{src_path}: field {field!r} holds neither text nor whole numbers but {strange.iloc[0]!s}; "
            "name another field, or write the classes as text"
        )


def _candidate_fields(frame: gpd.GeoDataFrame, fields: list[str]) -> list[str]:
    classlike = [
        name
        for name in fields
        if name.lower() not in (*ID_FIELDS, *KML_FIELDS)
        and (is_text(frame[name]) or _is_whole_number(frame[name]))
        and _says_something(frame[name])
    ]
    # NOTE: where some field repeats its values, one that never does describes features, not classes.
    repeating = [name for name in classlike if frame[name].nunique() < len(frame)]
    varying = [name for name in repeating or classlike if frame[name].nunique() > 1]
    candidates = varying or repeating or classlike
    if not any(name.lower() in USUAL_FIELDS for name in candidates):
        # A file with one feature a class: who drew them may repeat, but its class field says what it is.
        candidates += [
            name
            for name in classlike
            if name.lower() in USUAL_FIELDS
            and name.lower() not in ("label", "category")
            and name not in candidates
            and frame[name].nunique() > 1
            and _is_known(frame[name]).all()
        ]
    return candidates


def _is_whole_number(values: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return False
    return bool(_are_whole(values.dropna()).all())


def _are_whole(values: pd.Series) -> pd.Series:
    """Which numbers are whole ones."""
    return pd.Series(np.isfinite(values) & (values == np.round(values)), index=values.index)


def _is_known(values: pd.Series, *, kept: Iterable[str] = ()) -> pd.Series:
    """Which values are neither missing nor empty nor a word for that, but for words that are kept as names."""
    known = values.notna()
    if not is_text(values):
        return known
    texts = values.fillna("").astype(str)
    words = texts.str.strip().str.lower()
    is_empty, is_doubtful = words.isin({"", *NULL_WORDS}), words.isin(DOUBTFUL_WORDS)
    certain = texts[~is_empty & ~is_doubtful]
    if len(certain) and certain.str.fullmatch(_NUMBER).all():
        is_empty |= is_doubtful
    return known & (~is_empty | texts.isin(list(kept)))


def _says_something(values: pd.Series) -> bool:
    """Whether some value is known, and not all of them are words that may mean "no value"."""
    known = values[_is_known(values)]
    return len(known) > 0 and not (is_text(values) and known.str.lower().isin(DOUBTFUL_WORDS).all())


def _is_number_in_text(values: pd.Series) -> bool:
    """Whether a field of texts holds nothing but class numbers, none of them with zeros before it."""
    if not is_text(values):
        return False
    texts = values[_is_known(values)]
    fitting = texts.str.fullmatch(_NUMBER, na=False)
    return bool(len(texts) and fitting.all() and (_to_numbers(texts) <= MAX_CLASS_ID).all())


def _to_numbers(texts: pd.Series) -> pd.Series:
    """Numbers of texts that hold such; NaN where they hold none."""
    return pd.to_numeric(texts.str.replace(",", "."), errors="coerce").astype(np.float64)


def names_field(frame: gpd.GeoDataFrame, field: str) -> str | None:
    """The text field that names the numbers of `field`, if there is one.

    It is named as such fields usually are (`class_name`, `label`, ...), or as `field` with another ending (LULC_ID and
    LULC_NAME), which comes first. It gives each number one name, or none, and no two numbers the same.
    """
    texts = _texts(frame)
    paired = _paired(field, texts)
    usual = [name for name in texts if name not in (*paired, field) and _without_language(name) in NAME_FIELDS]
    usual.sort(key=lambda name: NAME_FIELDS.index(_without_language(name)))
    fitting = [name for name in (*paired, *usual) if _gives_names(frame, field, name)]
    return fitting[0] if fitting else None


def _texts(frame: gpd.GeoDataFrame) -> list[str]:
    """The fields with texts that are not all empty."""
    fields = [str(name) for name in frame.columns if name != frame.geometry.name]
    return [name for name in fields if is_text(frame[name]) and _says_something(frame[name])]


def _paired(field: str, others: Sequence[str]) -> list[str]:
    """Of other fields, those named as `field` with another ending."""
    stem = _stem(field, _NUMBER_WORDS)
    return [name for name in others if name != field and stem and _stem(name, _NAME_WORDS) == stem]


def _gives_names(frame: gpd.GeoDataFrame, field: str, name: str) -> bool:
    """Whether a text field gives each number one name throughout, or none throughout, and each another."""
    numbered = frame.loc[frame[field].notna()]
    numbers, filled = numbered[field], _is_known(numbered[name])
    if not filled.any() or (filled.groupby(numbers).nunique() > 1).any():
        return False
    pairs = pd.DataFrame({"number": numbers[filled], "name": numbered.loc[filled, name]}).drop_duplicates()
    return not pairs["number"].duplicated().any() and not pairs["name"].duplicated().any()


def _words(name: str) -> list[str]:
    """The words of a field's name in lower case: "LULC_ID" and "lulcId" have two."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _stem(name: str, words: Sequence[str]) -> str:
    """A field's name without a first or last word of some, which may be joined to the rest ("Classvalue")."""
    parts = _words(_without_language(name))
    if len(parts) > 1:
        parts = parts[:-1] if parts[-1] in words else parts[1:] if parts[0] in words else parts
        return "".join(parts)
    whole = "".join(parts)
    ending = next((word for word in words if len(word) > 2 and whole.endswith(word) and whole != word), "")
    return whole.removesuffix(ending)


def _without_language(name: str) -> str:
    """A field's name in lower case without a language at its end: "name" of "name_de"."""
    return re.sub(rf"[_:. ](?:{'|'.join(_LANGUAGES)})$", "", name.lower())


def number_classes(
    frame: gpd.GeoDataFrame, field: str, src_path: str | Path, table: Sequence[LandCoverClass] | None = None
) -> tuple[gpd.GeoDataFrame, NDArray[np.int64], dict[int, str]]:
    """Features with a class, their class numbers, and the classes' names.

    Whole numbers stay as they are, in a field of texts too if it holds nothing else and none has zeros before it. Other
    text is numbered from 1 in alphabetical order, capitals first only where names differ in nothing else. Words that
    programs write for "no value" are taken as empty unless the class table has them; "none" and the like are a class.

    Args:
        frame: the features.
        field: the one that holds the class.
        src_path: where they come from, for messages.
        table: the classes that there are; features of others are left out, and it numbers the names, whose case counts
            only if it has names that differ in nothing else.

    Returns:
        the features, int64 (n,) class numbers, and names by class number.
    """
    frame = _with_class(frame, field, src_path, table)
    if table is not None:
        return _number_by_table(frame, field, src_path, table)
    if _is_number_in_text(frame[field]):
        logger.info("labels: field %r of %s is text, but holds class numbers alone; they are kept", field, src_path)
        frame[field] = _to_numbers(frame[field])
    if not is_text(frame[field]):
        check_class_ids(frame[field].unique())
        class_ids = frame[field].to_numpy(np.float64).astype(np.int64)
        names = {int(class_id): str(class_id) for class_id in np.unique(class_ids)}
        if (named_by := names_field(frame, field)) is not None:
            logger.info("labels: the classes' names are taken from field %r", named_by)
            names |= _names_of(frame, field, named_by, src_path)
        elif unfit := _paired(field, _texts(frame)):
            logger.warning(
                "%s: field %r is not used for the classes' names: it gives some class of %r none, two or another's; "
                "mend it, or give it as --label-field",
                src_path, unfit[0], field,
            )  # fmt: skip
        return frame, class_ids, names
    texts = frame[field].astype(str)
    ordered = sorted(set(texts), key=lambda name: (name.casefold(), name))
    numbers = {name: number for number, name in enumerate(ordered, start=1)}
    for one, other in pairwise(ordered):
        if one.casefold() == other.casefold():
            logger.warning(
                "%s: %r and %r are taken for two classes; if they are one, mend the names", src_path, one, other
            )
    return frame, texts.map(numbers).to_numpy(np.int64), {number: name for name, number in numbers.items()}


def _with_class(
    frame: gpd.GeoDataFrame, field: str, src_path: str | Path, table: Sequence[LandCoverClass] | None
) -> gpd.GeoDataFrame:
    """The features whose class is known.

    Raises:
        LabelError: it is of none.
    """
    found = _words_in(frame[field], (*NULL_WORDS, *DOUBTFUL_WORDS))
    kept = [text for text in found if _is_in_table(text, table)]
    known = _is_known(frame[field], kept=kept)
    if not known.all():
        words = _words_in(frame.loc[~known, field], found)
        taken = f"; {_listed(words)} taken as empty; a class of that name has to be in a class table (--classes)"
        logger.warning(
            "%s: %d features whose %r is empty are left out%s", src_path, (~known).sum(), field, taken if words else ""
        )
    if table is None and (words := _words_in(frame.loc[known, field], DOUBTFUL_WORDS)):
        logger.warning(
            "%s: in field %r, %s kept as a class; to leave it out, give a class table without it (--classes)",
            src_path, field, _listed(words),
        )  # fmt: skip
    if not known.any():
        raise LabelError(f"{src_path}: field {field!r} is empty in every feature; fill it in, or name another field")
    return frame[known].copy()


def _names_of(frame: gpd.GeoDataFrame, field: str, named_by: str, src_path: str | Path) -> dict[int, str]:
    """The names that a field of texts gives the class numbers, with a warning of words for "no value"."""
    known = _is_known(frame[named_by])
    if words := _words_in(frame.loc[~known, named_by], (*NULL_WORDS, *DOUBTFUL_WORDS)):
        numbers = sorted(frame.loc[~known, field].astype(int).unique())
        logger.warning(
            "%s: in field %r, %s taken as empty; the classes without a name are named by their numbers: %s",
            src_path, named_by, _listed(words), shortened(numbers),
        )  # fmt: skip
    pairs = frame.loc[known, [field, named_by]].drop_duplicates()
    return {int(key): str(name) for key, name in pairs.itertuples(index=False)}


def _words_in(values: pd.Series, words: Iterable[str]) -> list[str]:
    """Those of some words, in any case, that occur in a field of texts."""
    wanted = {word.lower() for word in words}
    return sorted(text for text in values.dropna().unique() if text.lower() in wanted) if is_text(values) else []


def _listed(words: Sequence[str]) -> str:
    """Words as the subject of a message, with its verb: "'NULL' is" or "'NULL', 'nan' are"."""
    return f"{', '.join(map(repr, words))} {'is' if len(words) == 1 else 'are'}"


def _is_in_table(text: str, table: Sequence[LandCoverClass] | None) -> bool:
    return table is not None and find_name(text, {c.id: c.name for c in table}) is not None


def _number_by_table(
    frame: gpd.GeoDataFrame, field: str, src_path: str | Path, table: Sequence[LandCoverClass]
) -> tuple[gpd.GeoDataFrame, NDArray[np.int64], dict[int, str]]:
    names = {c.id: c.name for c in table}
    if is_text(frame[field]):
        found = {text: find_name(text, names) for text in frame[field].astype(str).unique()}
        class_ids = frame[field].astype(str).map(found)
        if class_ids.isna().all() and _is_number_in_text(frame[field]):  # no name of the table's, so its numbers
            numbers = _to_numbers(frame[field])
            class_ids = numbers.where(numbers.isin(list(names)))
    else:
        class_ids = frame[field].where(frame[field].isin(list(names)))
    known = class_ids.notna()
    if not known.all():
        strange = shortened(sorted(frame.loc[~known, field].astype(str).unique()))
        logger.warning(
            "%s: %d features of classes that the class table does not have are left out: %s",
            src_path, (~known).sum(), strange,
        )  # fmt: skip
    if not known.any():
        raise LabelError(
            f"{src_path}: no class in field {field!r} is in the class table ({', '.join(names.values())}); "
            "name another field with --label-field, or mend the table"
        )
    return frame[known], class_ids[known].to_numpy(np.int64), names


def find_name(name: str, names: Mapping[int, str]) -> int | None:
    """The number of a name: of the one spelt alike, else of the only one that is alike but for the case."""
    wanted, plain = normalized(name), {class_id: normalized(own) for class_id, own in names.items()}
    alike = [class_id for class_id, own in plain.items() if own == wanted]
    alike = alike or [class_id for class_id, own in plain.items() if own.lower() == wanted.lower()]
    return alike[0] if len(alike) == 1 else None
