"""One spelling of a text for everything that compares: what is indexed, what is encoded, what is asked for.

The same letters reach us in many spellings: an accent as a letter of its own, a ligature out of a PDF, full-width
letters, a soft hyphen in the middle of a word. Documents and queries go through the same function, and so find each
other. The text that a document stores, and that a hit shows, stays what the source had.

It is NFC, plus the part of NFKC that changes no meaning:

- folded: ligatures and digraphs (ﬁ, ǆ), full-width and half-width forms, Arabic presentation forms, mathematical
  alphabets, subscripts (H₂O), vertical and small forms, the radicals that PDFs hold instead of ideographs;
- kept: superscripts (x² is not x2, nor 10⁵ 105), fractions (1½ would become 11⁄2), circled and bracketed numbers,
  ™, ℃, №, square units (㎡), Roman numerals, ellipses, free-standing accents, Hangul letters that stand alone,
  and the Thai and Lao letter AM, which NFKC would take apart.

Characters that cannot be seen go: soft hyphens (with the line break that they allowed), zero-width spaces, word
joiners, byte order marks, marks of direction, variation selectors, tags. There are two exceptions:

- the zero-width joiner and non-joiner stay where writing needs them, after a letter of the Arabic, Indic and
  related scripts, and between emoji; the analyzers of those languages know what to do with them;
- a zero-width space between letters of Thai, Lao, Burmese or Khmer parts words, and becomes a space.

Every other kind of space becomes a plain one, and so does a control character; line ends stay."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

SOFT_HYPHEN, ZERO_WIDTH_SPACE = "\u00ad", "\u200b"
JOINERS = "\u200c\u200d"
FOLDED = frozenset(
    {"<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>", "<font>", "<sub>", "<vertical>", "<small>"}
)
# where compatibility characters live that may be folded; the ideographs among them are NFC's own business
COMPATIBILITY = ((0xA0, 0x3400), (0xA640, 0xAC00), (0xFB00, 0x10000), (0x1D400, 0x1D800), (0x1EE00, 0x1EF00))
HANGUL_LETTERS = range(0x3131, 0x318F)
RADICALS = range(0x2E80, 0x2FE0)
INVISIBLE = (
    (0x34F, 0x34F),  # the grapheme joiner
    (0x61C, 0x61C),  # marks of direction
    (0x200E, 0x200F),
    (0x202A, 0x202E),
    (0x2066, 0x206F),
    (0x115F, 0x1160),  # fillers in the place of Hangul letters
    (0x3164, 0x3164),
    (0xFFA0, 0xFFA0),
    (0x17B4, 0x17B5),  # Khmer vowels that are never shown
    (0x180B, 0x180E),  # variation selectors, the vowel separator
    (0x180F, 0x180F),
    (0xFE00, 0xFE0F),
    (0xE0100, 0xE01EF),
    (0x2060, 0x2064),  # word joiner, invisible operators
    (0xFEFF, 0xFEFF),  # the byte order mark
    (0xFFF9, 0xFFFB),  # marks of annotations
    (0x1BCA0, 0x1BCA3),  # of shorthand and music
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE007F),  # tags
)
LINE_ENDS = "\t\n\r"
# letters whose shapes joiners decide, and emoji, of which joiners make one
_JOINING = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1bff\ua840-\ua8ff\uabc0-\uabff"
_JOINING += "\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00010aff\U00011000-\U00011fff"
_EMOJI = "\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
_STRAY_JOINER = re.compile(f"(?<![{_JOINING}{_EMOJI}])[{JOINERS}]+|[{JOINERS}]+(?=\\s|$)")
_WORD_BORDER = re.compile(f"(?<=[{_UNSPACED}]){ZERO_WIDTH_SPACE}+(?=[{_UNSPACED}])")
_HYPHENATED = re.compile(f"{SOFT_HYPHEN}+(?:[ \\t]*\\r?\\n[ \\t]*)?")
_PLAIN = re.compile(r"[\t\n\r -~]*")


def normalise_text(text: str) -> str:
    """The text in the spelling in which texts are compared; doing it twice changes nothing more."""
    if _PLAIN.fullmatch(text):
        return text
    text = _WORD_BORDER.sub(" ", _HYPHENATED.sub("", text)).replace(ZERO_WIDTH_SPACE, "")
    text = unicodedata.normalize("NFC", text.translate(_spellings()))
    return _STRAY_JOINER.sub("", text) if JOINERS[0] in text or JOINERS[1] in text else text


@cache
def _spellings() -> dict[int, str]:
    """What each character becomes that does not stay as it is, one by one."""
    spellings = dict(_foldings())
    spellings |= {code: "" for first, last in INVISIBLE for code in range(first, last + 1)}
    spellings |= {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in LINE_ENDS}
    spellings |= {code: " " for code in range(0xA0, 0x3001) if unicodedata.category(chr(code)) == "Zs"}
    return spellings | {0x85: "\n", 0x2028: "\n", 0x2029: "\n", 0x2010: "-", 0x2011: "-"}


def _foldings() -> Iterator[tuple[int, str]]:
    for first, end in COMPATIBILITY:
        for code in range(first, end):
            kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
            if kind.startswith("<") and _is_folded(code, kind, [chr(int(part, 16)) for part in parts]):
                yield code, unicodedata.normalize("NFKC", chr(code))


def _is_folded(code: int, kind: str, parts: list[str]) -> bool:
    if kind == "<compat>":
        letters = all(unicodedata.category(part)[0] == "L" for part in (chr(code), *parts))
        return code in RADICALS or (letters and code not in HANGUL_LETTERS)
    return kind in FOLDED and parts[0] != " "  # an accent on a space
