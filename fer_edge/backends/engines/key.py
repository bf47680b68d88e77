"""The key of a plan: everything that can make a plan wrong, or slower than a new one.

Two keys are compared field by field, not by a hash, so that a mismatch can be explained.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, fields
from typing import Any

from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.products import Target
from fer_edge.backends.engines.profiles import Profile, profiles_for
from fer_edge.models import ModelFile

# Raised by one when a change of this room, or of kernels inside engines, makes other plans of the same file.
RECIPE = 1
# Enough for every kernel of these networks; without a limit, TensorRT may take all memory of an 8 GB board,
# which its programs share.
WORKSPACE_MIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of the builder.

    Attributes:
        workspace_mib: most memory that a layer may use for its intermediate results.
        dla_core: the deep-learning accelerator of an Orin to build for; None: the GPU.
        plugins: the blocks of a fused file are plugins, see engines.plugins.
    """

    workspace_mib: int = WORKSPACE_MIB
    dla_core: int | None = None
    plugins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a plan was built from and for. `gpu` is None for a plan that is not for one GPU."""

    model_sha256: str
    precision: str
    product: str
    product_version: str
    target: str
    platform: str
    gpu: Gpu | None
    profiles: tuple[Profile, ...]
    options: Options
    recipe: int

    def environment(self) -> str:
        """A short name of all but the model: plans with an equal one can be kept in one folder."""
        everything = asdict(self)
        for of_model in ("model_sha256", "precision", "profiles"):
            del everything[of_model]
        digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
        return f"{self.product}-{self.product_version}-{self.target}-{digest[:8]}"


def key_for(model: ModelFile, target: Target, version: str, gpu: Gpu | None, options: Options) -> Key:
    """The key of a model's plan, for a version of the product; ``gpu`` counts if the plan is for this GPU."""
    return Key(
        model_sha256=model.sha256,
        precision=model.precision,
        product=target.product.name,
        product_version=version,
        target=target.name,
        platform=f"{platform.system()}-{platform.machine()}".lower(),
        gpu=gpu if target.this_gpu else None,
        profiles=profiles_for(model.spec, fixed=options.dla_core is not None),
        options=options,
        recipe=RECIPE,
    )


def differences(wanted: Key, found: Key) -> list[str]:
    """Each field that differs, as "name: wanted ..., found ..."."""
    return [
        f"{field.name}: wanted {_text(mine)}, found {_text(theirs)}"
        for field in fields(Key)
        if (mine := getattr(wanted, field.name)) != (theirs := getattr(found, field.name))
    ]


def _text(value: Any) -> str:
    if isinstance(value, Gpu):
        return value.describe()
    if isinstance(value, tuple):
        return ", ".join(f"{list(p.min)} to {list(p.max)} tuned for {list(p.opt)}" for p in value)
    # A hash is recognised by its beginning.
    return f"{value:.16}..." if isinstance(value, str) and len(value) == 64 else str(value)
