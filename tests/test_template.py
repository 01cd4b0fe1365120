"""A version trained with the plain template is asked with the plain template: in evaluation and in the playground."""

import json

from curate import playground, release
from curate.tasks import load_pack
from curate.workspace import Workspace
from evals.generate import LocalModel
from train.base import tiny_llama


def version(workspace, name, base, template):
    """A model folder as far as its arms are read: the record, and an adapter's files."""
    folder = workspace.models / name
    folder.mkdir()
    record = {
        "base": {"name": str(base)},
        "recipe": {"template": template},
        "snapshot": {"id": "s"},
        "task": "t",
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    (folder / "adapter_config.json").write_text("{}")
    return folder


def test_arms_render_as_the_model_was_trained(tmp_path):
    workspace = Workspace.create(tmp_path / "ws")
    base = tiny_llama(tmp_path / "base")
    pack_folder = workspace.tasks / "t"
    pack_folder.mkdir()
    (pack_folder / "task.toml").write_text(
        f'name = "t"\ntitle = "T"\n[model]\nbase = "{base}"\n[training]\ntemplate = "plain"\n'
    )
    pack = load_pack(pack_folder)
    plain = version(workspace, "t-v2", base, "plain")
    version(workspace, "t-v1", base, "model")
    spec = {"threads": 1, "baselines": ["zero_shot"], "outputs": {}, "released": ["t-v1"]}
    zero, before, tuned = (
        arm.generator.identity()["template"] for arm in release._arms(workspace, pack, spec, plain, None)
    )
    expected = {name: LocalModel(base, template=name).identity()["template"] for name in ("plain", "model")}
    assert tuned == zero == expected["plain"] != expected["model"] == before
    [alone] = release._arms(workspace, pack, spec | {"released": []}, None, None)
    assert (
        alone.generator.identity()["template"] == expected["plain"]
    )  # baselines that stand before any model
    assert playground.shared_base([plain], pack) == (str(base), "plain") == playground.shared_base([], pack)
