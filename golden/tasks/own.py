"""A user's own task: a class in a Python file outside this package."""

import inspect
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from golden.recipe import Recipe
from golden.tasks.base import Task
from golden.tasks.options import check_types


def load(name: str, path: Path, class_name: str) -> Task:
    """The task that a class in a Python file defines, with its default options.

    Its name is ``name``, as the user wrote it, so that model files record where to find it.

    Raises:
        ValueError: the file or the class does not define a task; one sentence.
    """
    module = _execute(path)
    found = getattr(module, class_name, None)
    if found is None:
        tasks = [
            name
            for name, value in vars(module).items()
            if _is_task(value) and value.__module__ == module.__name__
        ]
        there = f"its tasks are {', '.join(tasks)}" if tasks else "it defines no task"
        raise ValueError(f"{path} has no class {class_name}: {there}")
    if not _is_task(found):
        raise ValueError(f"{class_name} in {path} is not a task: derive it from golden.tasks.Task")
    if found.__abstractmethods__:
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ValueError(f"{class_name} in {path} is not complete: it does not define {missing}")
    found.name = name
    try:
        task = found()
        check_types(task)
    except (TypeError, NameError) as error:
        raise ValueError(
            f"{class_name} in {path} cannot be constructed without arguments ({error})"
        ) from None
    if not isinstance(task.recipe, Recipe):
        raise ValueError(
            f"the recipe of {class_name} in {path} must be a golden.tasks.Recipe, "
            f"not {task.recipe!r}"
        )
    return task


def _is_task(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Task) and value is not Task


def _execute(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"egru_task_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file: its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == spec.origin]
        if isinstance(error, SyntaxError) and error.filename == spec.origin:
            lines.append(error.lineno)
        where = f" in line {lines[-1]}" if lines else ""
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} fails{where} with {type(error).__name__}: {reason}") from None
    return module
