"""What a network can be used for, known before it is trained."""

from egru_cli.sweep import TRAINED_BITS
from egru_hw.contract.config import PRESETS
from egru_hw.contract.image import NEEDED, Sizes, fits, lack
from golden.cells import find_cell
from golden.recipe import Recipe
from golden.tasks import Task


def outlook(task: Task, recipe: Recipe) -> str | None:
    """A sentence if a network of that recipe will run on no preset of the accelerator."""
    if recipe.embedding_size is not None or not find_cell(recipe.cell).emits_events:
        what = f"a network of {recipe.cell} cells"
        if recipe.embedding_size is not None:
            what = "a network with an embedding"
        return f"{what} has no integer model: it is trained and evaluated in float only"
    sizes = Sizes(
        task.input_size, (recipe.hidden_size,) * recipe.num_layers, task.outputs, TRAINED_BITS
    )
    if any(fits(sizes, config) for config in PRESETS.values()):
        return None
    largest = max(PRESETS, key=lambda name: PRESETS[name].weight_rows * PRESETS[name].lanes)
    field, needed, available = lack(sizes, PRESETS[largest]) or ("", 0, 0)
    return (
        f"no preset of the accelerator holds this network: it needs {needed} {NEEDED[field]}, and "
        f"the largest, {largest}, has {available}"
    )
