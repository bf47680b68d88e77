"""Configs: differences from the defaults, changes from the command line, and clear errors."""

from pathlib import Path

import pytest

from training.loop.settings import CONFIGS, Settings, settings_from_toml
from training.models import build


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_makes_a_network_and_repeats_no_default(path: Path):
    settings = settings_from_toml(path)
    assert build(settings.model, **settings.options).size >= settings.early_size
    text = path.read_text(encoding="utf-8")
    default = Settings()
    same = [
        n for n in Settings.__slots__ if f"\n{n} = " in text and getattr(settings, n) == getattr(default, n)
    ]
    assert same == []


def test_changes_come_last(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('model = "tkfnet"\nlr = 1e-3\n[options]\nsize = 56\n')
    changes = {"lr": "1", "options.width": "16", "options.tafe": "none", "aligned": "false"}
    settings = settings_from_toml(path, changes)
    assert (settings.model, settings.lr, settings.aligned) == ("tkfnet", 1.0, False)
    assert settings.options == {"size": 56, "width": 16, "tafe": "none"}


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("epoch = 3", {}, "unknown setting 'epoch'; the settings are model, options, epochs"),
        ("epochs = 3.5", {}, "epochs must be int, got 3.5"),
        ("", {"epochs": "many"}, "epochs must be int, got 'many'"),
        ('lr = "fast"', {}, "lr must be float, got 'fast'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, changes: dict[str, str], message: str):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        settings_from_toml(path, changes)


def test_a_missing_config_lists_those_there_are():
    with pytest.raises(FileNotFoundError, match=r"conv-cut-atto, .*tkfnet-nano"):
        settings_from_toml(CONFIGS / "resnet.toml")
