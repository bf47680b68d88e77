"""The planted faults: each operator replaces one node of a module's syntax tree."""

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = {
    "min": "max",
    "minimum": "maximum",
    "fmin": "fmax",
    "any": "all",
    "ceil": "floor",
    "zeros": "ones",
    "setdefault": "get",
}
FUNCTIONS |= {new: old for old, new in FUNCTIONS.items() if old not in ("zeros", "setdefault")}
COMMUTATIVE = {"min", "max", "minimum", "maximum", "fmin", "fmax", "hypot"}
# Messages, like all strings with a space: tests match only their stable part.
WORDING = {"help", "metavar", "description", "epilog", "prog"}
TYPES = {"Literal", "NDArray", "Callable", "Generic", "tuple", "dict", "list", "type", "ClassVar"}


class Mutant(NamedTuple):
    """A module with one fault."""

    line: int
    function: int  # first line of the innermost function, 0 outside of all
    scope: str  # the function, class or constant that the fault is in
    swappable: str  # "function" or "Class.method" when the fault is in its body, else ""
    before: str
    after: str
    source: str


class Place(NamedTuple):
    """Where a node is: the first line of its function, the prefix of methods, the function to swap."""

    line: int = 0
    prefix: str = ""
    swappable: str = ""


def mutants_of_source(text: str) -> Iterator[Mutant]:
    """Yields every mutant of a module, in the order of its lines; each differs from the others."""
    tree = _without_docstrings(ast.parse(text))
    parts = [ast.unparse(part) for part in tree.body]
    for number, part in enumerate(tree.body):
        # Under a root of its own, because a top-level statement is replaced like any other.
        root = ast.Module([part], [])
        seen = {parts[number]}
        for holder, field, index, place in _sites(root, Place()):
            node = getattr(holder, field) if index is None else getattr(holder, field)[index]
            for replacement in _replacements(node, holder):
                _put(holder, field, index, replacement)
                changed = ast.unparse(ast.fix_missing_locations(root))
                _put(holder, field, index, node)
                if changed not in seen:
                    seen.add(changed)
                    source = "\n".join([*parts[:number], changed, *parts[number + 1 :]])
                    difference = _difference(parts[number], changed)
                    yield Mutant(node.lineno, place.line, _name(part), place.swappable, *difference, source)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Leaves the module's own docstring, which the command line shows."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass(lineno=node.body[0].lineno)
    return tree


def _name(part: ast.stmt) -> str:
    targets = getattr(part, "targets", [getattr(part, "target", part)])
    name = ast.unparse(targets[0]) if isinstance(part, ast.Assign | ast.AnnAssign) else type(part).__name__
    return getattr(part, "name", name)


def _put(holder: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(holder, field, node)
    else:
        getattr(holder, field)[index] = node


def _sites(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, str, int | None, Place]]:
    """Yields where each node hangs in the tree, without type annotations, docstrings and wording."""
    inner = place
    if isinstance(node, ast.ClassDef):
        inner = Place(0, f"{node.name}.", "")
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        decorators = getattr(node, "decorator_list", [])
        line = min([node.lineno, *(d.lineno for d in decorators)])
        name = f"{place.prefix}{node.name}" if isinstance(node, ast.FunctionDef) else ""
        inner = Place(line, "", place.swappable or name)
        place = Place(line, place.prefix, place.swappable)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "bases", "type_comment"):
            continue
        # Defaults and decorators are run outside of the function.
        here = inner if field == "body" else place
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_left_alone(child):
                continue
            if hasattr(child, "lineno"):
                yield node, field, index if isinstance(value, list) else None, here
            yield from _sites(child, here)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.keyword):
        # `strict=True` of zip only detects errors of the package itself.
        return node.arg in WORDING or node.arg == "strict"
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id in TYPES
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "TypeVar"
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.ClassDef):
        return any(ast.unparse(base).startswith("Protocol") for base in node.bases)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr)


def _replacements(node: ast.AST, holder: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.stmt():
            yield from _statements(node)
        case ast.Constant():
            yield from _constants(node)
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield _changed(node, ops=[other()])
        case ast.Compare():
            for i, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield _changed(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC:
            yield _changed(node, op=ARITHMETIC[type(operator)]())
        case ast.BoolOp():
            yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
            for i in range(len(node.values)):
                rest = [*node.values[:i], *node.values[i + 1 :]]
                yield rest[0] if len(rest) == 1 else _changed(node, values=rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Call():
            yield from _calls(node)
        case ast.Slice():
            for bound in ("lower", "upper", "step"):
                if getattr(node, bound) is not None:
                    yield _changed(node, **{bound: None})
        case ast.ExceptHandler(type=ast.Tuple(elts=errors)):
            for i in range(len(errors)):
                yield _changed(node, type=ast.Tuple(_without(errors, i), ast.Load()))
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) if not isinstance(
            holder, ast.ExceptHandler
        ):
            yield from _displays(node, holder)
        case ast.Dict():
            for i in range(len(node.keys)):
                yield _changed(node, keys=_without(node.keys, i), values=_without(node.values, i))
        case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) if isinstance(holder, ast.arguments):
            yield ast.Constant(0)


def _statements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield ast.Pass(lineno=node.lineno)
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield ast.Pass(lineno=node.lineno)
        case ast.AnnAssign(target=ast.Attribute() | ast.Subscript()):
            yield ast.Pass(lineno=node.lineno)
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield _changed(node, value=ast.Constant(None))
        case ast.If() | ast.Assert():
            yield _changed(node, test=ast.Constant(True))
            yield _changed(node, test=ast.Constant(False))
        case ast.While():
            yield _changed(node, test=ast.Constant(False))
        case ast.Continue():
            yield ast.Break(lineno=node.lineno)
            yield ast.Pass(lineno=node.lineno)
        case ast.Break():
            yield ast.Continue(lineno=node.lineno)
        case ast.For() if not isinstance(node.body[-1], ast.Return | ast.Raise):
            yield _changed(node, body=[*copy.copy(node.body), ast.Break()])
        case ast.FunctionDef() if node.decorator_list:
            yield _changed(node, decorator_list=node.decorator_list[1:])


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value > 1:
            yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 1.25 if value else 1.0)
        yield ast.Constant(value * 0.8)
    elif isinstance(value, str) and " " not in value:
        yield ast.Constant(value + "X")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"X")


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id.endswith(("Error", "_require")):
        return
    for i in range(len(node.keywords)):
        if not _is_left_alone(node.keywords[i]):
            yield _changed(node, keywords=_without(node.keywords, i))
    arguments = node.args
    if len(arguments) > 1:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in COMMUTATIVE:
            yield _changed(node, args=[arguments[1], arguments[0], *arguments[2:]])
        yield from ([_changed(node, args=arguments[:-1])] if name not in COMMUTATIVE else arguments[:2])
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        yield _changed(node, func=ast.Name(FUNCTIONS[node.func.id]))
    if isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS:
        yield _changed(node, func=_changed(node.func, attr=FUNCTIONS[node.func.attr]))


def _displays(node: ast.Tuple | ast.List, holder: ast.AST) -> Iterator[ast.AST]:
    items = node.elts
    # Indices and shapes only fail if an element is missing; tables and exceptions may still work without it.
    if not isinstance(holder, ast.Subscript | ast.Call):
        for i in range(len(items)):
            yield _changed(node, elts=_without(items, i))
    if len(items) > 1:
        i = len(items) // 2 - 1
        yield _changed(node, elts=[*items[:i], items[i + 1], items[i], *items[i + 2 :]])


def _without(items: list, i: int) -> list:
    return [*items[:i], *items[i + 1 :]]


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _difference(original: str, mutated: str) -> tuple[str, str]:
    """The part of both that differs, with 40 characters before and 30 after it."""
    a, b = (" ".join(text.split()) for text in (original, mutated))
    shorter = min(len(a), len(b))
    head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    tail = next((i for i in range(shorter - head) if a[-1 - i] != b[-1 - i]), shorter - head)
    start = max(0, head - 40)
    before, after = (text[start : len(text) - max(0, tail - 30)] for text in (a, b))
    return before, after
