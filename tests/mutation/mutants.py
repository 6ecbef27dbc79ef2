# SPDX-License-Identifier: Apache-2.0
"""The small changes that mutate.py makes to C++ in this repository's format (clang-format, Google).

The format is what makes a few regular expressions enough: a binary operator has a space on either
side, template brackets, references and pointers have not. What they get wrong doesn't compile.
"""

import dataclasses
import random
import re

OPERATORS = {
    "relation": {
        "<": ["<=", ">"],
        "<=": ["<", ">="],
        ">": [">=", "<"],
        ">=": [">", "<="],
        "==": ["!="],
        "!=": ["=="],
    },
    "arithmetic": {
        "+": ["-"],
        "-": ["+"],
        "*": ["/"],
        "/": ["*"],
        "%": ["/"],
        "+=": ["-="],
        "-=": ["+="],
    },
    "logic": {"&&": ["||"], "||": ["&&"]},
}
SWAPPED = {"true": "false", "false": "true", "std::min": "std::max", "std::max": "std::min"}
# What these return is what `return {};` would return.
EMPTY = {"{}", "absl::OkStatus()", "std::nullopt", "0", '""', "false", "nullptr"}

NOT_CODE = re.compile(
    r"""//[^\n]*                            # comment
      | /\*.*?\*/
      | R"(?P<mark>\w*)\(.*?\)(?P=mark)"    # raw string
      | "(?:\\.|[^"\\\n])*"                 # string
      | (?<!\w)'(?:\\.|[^'\\\n])+'          # character; not the ' in 1'000
      | ^[ ]*\#(?:[^\n]*\\\n)*[^\n]*        # preprocessor
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# Whole statements that are left alone: they say what is, or what a log is to hold.
LEFT_ALONE = re.compile(
    r"^ *(?:static_assert|using|template|namespace|observe::Log\w+|case|assert)\b", re.MULTILINE
)
# A statement without a declaration: `x = ...;`, `++x;` or a call. No two words in a row.
LVALUE = r"[*]?[\w.:]+(?:(?:->|\.|::)[\w.]+|\[[^\]\n]*\]|\([^()\n]*\))*"
STATEMENT = re.compile(
    rf"(?<=[;{{}})\n])(?P<space>\s+)(?P<begin>\+\+{LVALUE};|--{LVALUE};|{LVALUE} [-+|&]?= "
    r"|(?!if\b|for\b|while\b|switch\b|return\b|static_cast\b)[\w.:>\[\]-]+(?:<[\w:, ]+>)?\()"
)
NUMBER = re.compile(
    r"(?<![\w.'])(?P<value>\d[\d']*(?:\.\d+)?(?:e[-+]?\d+)?)(?P<suffix>[uUlLfF]*)\b"
)


@dataclasses.dataclass(frozen=True)
class Mutant:
    source: str  # path in the repository
    line: int
    kind: str
    begin: int  # of the text that is replaced
    end: int
    old: str
    replacement: str

    def __str__(self):
        def short(text):
            text = " ".join(text.split())
            return text if len(text) < 50 else text[:47] + "..."

        change = f"`{short(self.old)}` to `{short(self.replacement)}`"
        return f"{self.source}:{self.line}: {self.kind}: {change}"


def blank(text, spans):
    """The text with these spans as spaces: places stay the same."""
    for begin, end in spans:
        spaces = re.sub(r"[^\n]", " ", text[begin:end])
        text = text[:begin] + spaces + text[end:]
    return text


def closing(code, at):
    """The place of the bracket that closes the one at `at`; -1 where there is none."""
    depth = 0
    for place in range(at, len(code)):
        depth += (code[place] in "([{") - (code[place] in ")]}")
        if depth == 0:
            return place
    return -1


def statement_end(code, at):
    """Behind the semicolon that ends what begins at `at`; -1 where something closes before."""
    place = at
    while 0 <= place < len(code):
        if code[place] == ";":
            return place + 1
        if code[place] in ")]}":
            return -1
        place = closing(code, place) + 1 if code[place] in "([{" else place + 1
    return -1


def innermost(code):
    """For every place the bracket that it is in; "" outside of all."""
    stack, inside = [], []
    for character in code:
        inside.append(stack[-1] if stack else "")
        if character in "([{":
            stack.append(character)
        elif character in ")]}" and stack:
            stack.pop()
    return inside


def code_of(text):
    """The text with everything that is not to be changed as spaces."""
    code = blank(text, [match.span() for match in NOT_CODE.finditer(text)])
    spans = []
    for match in LEFT_ALONE.finditer(code):
        ends = [end for end in (code.find(mark, match.start()) for mark in ";{") if end >= 0]
        log = "observe::" in match.group()
        end = statement_end(code, match.start()) if log else min(ends, default=-1)
        spans.append((match.start(), max(end, match.end())))
    return blank(code, spans)


def number_near(value, suffix, step):
    """The literal that is `step` more; None where there is none."""
    if "." in value or "e" in value:
        return f"({value}{suffix} {'+' if step > 0 else '-'} 1)"
    near = int(value.replace("'", "")) + step
    return None if near < 0 and suffix else f"{near}{suffix}" if near >= 0 else f"({near})"


def replacements(text, code, choose):
    """(kind, begin, end, replacement) of everything that can be changed."""
    for kind, operators in OPERATORS.items():
        for match in re.finditer(r"(?<= )([-+*/%<>=!&|]{1,2})(?=[ \n])", code):
            if match.group() in operators:
                yield kind, *match.span(), choose(operators[match.group()])
    for match in re.finditer(r"\b(?:true|false|std::min|std::max)\b", code):
        yield "swap", *match.span(), SWAPPED[match.group()]
    for match in NUMBER.finditer(code):
        near = number_near(match["value"], match["suffix"], choose([1, -1]))
        if near is not None:
            yield "constant", *match.span(), near
    for match in re.finditer(r"\b(?:if|while) \(", code):
        close = closing(code, match.end() - 1)
        begin = max(match.end(), code.rfind(";", match.end(), close) + 1)
        yield "condition", begin, close, f" !({text[begin:close].strip()})"
    for match in re.finditer(r"\breturn (?=[^;])", code):
        end = statement_end(code, match.end()) - 1
        if end > 0 and text[match.end() : end].strip() not in EMPTY:
            yield "return", match.end(), end, "{}"
    inside = innermost(code)
    for match in STATEMENT.finditer(code):
        begin = match.start("begin")
        end = statement_end(code, begin)
        if inside[begin] == "{" and end > 0:
            yield "statement", begin, end, ";"


def candidates(source, text, seed):
    """Every mutant of the text, in its order; the same for the same text and seed."""
    random_of_file = random.Random(f"{seed} {source}")
    code = code_of(text)
    found = sorted(replacements(text, code, random_of_file.choice))
    found.sort(key=lambda change: (change[1], change[0]))
    return [
        Mutant(source, text.count("\n", 0, begin) + 1, kind, begin, end, text[begin:end], new)
        for kind, begin, end, new in found
    ]
