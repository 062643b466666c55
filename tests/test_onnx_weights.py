"""Weights from ONNX files, as exporters of several times write them, and from files that are not what they seem."""

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from tiny_backbone import added
from torch import nn
from torch.nn import functional
from torch.onnx import TrainingMode

from extract.backbones import design
from extract.backbones.r3d34 import ShortcutA
from extract.weights import find_backbone, load_backbone
from store.errors import InputError

KEEP = {"training": TrainingMode.PRESERVE, "do_constant_folding": False}  # batch norm stays a layer of its own
WAYS = {
    # As in 2019: batch norm apart, every initialiser an input too, named as in the network.
    "old": {"dynamo": False, "opset_version": 9, "keep_initializers_as_inputs": True, **KEEP},
    # Some years later: batch norm folded, tensors named by numbers.
    "folded": {"dynamo": False, "opset_version": 13},
    "new": {"dynamo": True, "external_data": False, "verbose": False},
}


class Pooled(nn.Module):
    """The shortcut of 2018 as it was written for that export."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.avg_pool3d(x, kernel_size=1, stride=2)
        return functional.pad(x, (0, 0, 0, 0, 0, 0, 0, x.shape[1]))


def trained_looking(name: str, kind: str) -> nn.Module:
    network = design(name, kind).build(design(name, kind).outputs[0])
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
        elif isinstance(module, nn.BatchNorm3d):
            for values, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -1, 1),
                (module.running_var, 1, 4),
            ):
                nn.init.uniform_(values, low, high, generator=generator)
    return network.eval()


def export(network: nn.Module, path: Path, way: str, size: int = 112) -> Path:
    if way == "old":
        network = copy.deepcopy(network)
        for block in network.modules():
            if isinstance(getattr(block, "downsample", None), ShortcutA):
                block.downsample = Pooled()
    with warnings.catch_warnings(action="ignore"):  # of the exporters' own
        torch.onnx.export(network, (torch.zeros(1, 3, 16, size, size),), str(path), **WAYS[way])
    return path


def outputs(network: nn.Module) -> torch.Tensor:
    clip = 60 * torch.randn(1, 3, 16, 48, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return network(clip)


@pytest.fixture
def path(tmp_path) -> Iterator[Path]:
    path = tmp_path / "weights.onnx"
    yield path
    path.unlink(missing_ok=True)  # a quarter of a gigabyte for the large ones


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Iterator[nn.Module]:
    """A small network, where it is the file's form that matters; known as ``tiny`` while it is used."""
    with added(tmp_path_factory.mktemp("family")):
        yield trained_looking("tiny", "made-up")


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory) -> Path:
    return export(tiny, tmp_path_factory.mktemp("onnx") / "exported.onnx", "old", size=48)


def same(found: nn.Module, expected: nn.Module) -> bool:
    difference = (outputs(found) - outputs(expected)).abs().max()
    return bool(difference <= 1e-5 * outputs(expected).abs().max())


def logged(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.name == "extract.onnx_weights"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "way"),
    [
        ("r3d34", "2018", "old"),
        ("r3d34", "2018", "folded"),
        ("r3d34", "2018", "new"),
        ("r3d34", "2020", "old"),
        ("r3d_18", "kinetics400", "folded"),
    ],
)
def test_each_exporter(path, caplog, name: str, kind: str, way: str) -> None:
    network = trained_looking(name, kind)
    backbone = load_backbone(str(export(network, path, way)), name)
    assert (backbone.name, backbone.kind, backbone.source) == (name, kind, "weights.onnx")
    assert same(backbone.network, network)
    assert not backbone.network.training
    loaded, expected = backbone.network.state_dict(), network.state_dict()
    assert backbone.tail().keys() == {
        each for each in expected if each.startswith(("layer4.", "fc.")) and expected[each].is_floating_point()
    }
    if way == "old":  # the checkpoint itself
        assert all(torch.equal(loaded[each], expected[each]) for each in expected)
        assert not logged(caplog)
    else:
        (message,) = logged(caplog)
        assert message.startswith(f"{path}: its batch norm is folded")


def test_found_again_by_its_hash(exported, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path))
    backbone = load_backbone(str(exported), "tiny")
    spec = backbone.spec("float16", 16, 16, {})
    assert find_backbone(spec, exported.parent, None).sha256 == backbone.sha256


def test_another_backbones_file(exported) -> None:
    message = refused(exported, "r3d34")
    assert message == f"{exported}: weights of tiny, not of r3d34; add --backbone tiny"


def numbered(model: onnx.ModelProto) -> None:
    """Rename every tensor to a number."""
    names: dict[str, str] = {}

    def number(name: str) -> str:
        return names.setdefault(name, str(len(names))) if name else name

    for each in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        each.name = number(each.name)
    for node in model.graph.node:
        node.input[:] = [number(name) for name in node.input]
        node.output[:] = [number(name) for name in node.output]


def as_constants(model: onnx.ModelProto) -> None:
    """Turn initialisers into nodes, the first behind an Identity."""
    tensors = list(model.graph.initializer)
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors]
    nodes[0].output[0] = "first"
    nodes.insert(1, helper.make_node("Identity", ["first"], [tensors[0].name]))
    nodes += model.graph.node
    inputs = [each for each in model.graph.input if each.name not in {tensor.name for tensor in tensors}]
    for field, values in ((model.graph.node, nodes), (model.graph.input, inputs), (model.graph.initializer, [])):
        del field[:]
        field.extend(values)


def fc_by_matmul(model: onnx.ModelProto) -> None:
    gemm = model.graph.node[-1]
    assert gemm.op_type == "Gemm"
    x, weight, bias = gemm.input
    model.graph.node.pop()
    model.graph.node.extend(
        [
            helper.make_node("Transpose", [weight], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", [x, "turned"], ["product"]),
            helper.make_node("Add", [bias, "product"], list(gemm.output)),
        ]
    )


def fc_not_turned(model: onnx.ModelProto) -> None:
    gemm = model.graph.node[-1]
    (weight,) = (each for each in model.graph.initializer if each.name == gemm.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), weight.name))
    (shape,) = (each.type.tensor_type.shape for each in model.graph.input if each.name == weight.name)
    shape.dim[0].dim_value, shape.dim[1].dim_value = 20, 30
    (turned,) = (each for each in gemm.attribute if each.name == "transB")
    turned.i = 0


def other_epsilon(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            (epsilon,) = (each for each in node.attribute if each.name == "epsilon")
            epsilon.f = 0.5


@pytest.mark.parametrize("change", [numbered, as_constants, fc_by_matmul, fc_not_turned, other_epsilon])
def test_other_ways_to_write_it(tiny, exported, path, change: Callable[[onnx.ModelProto], None]):
    changed(exported, path, change)
    backbone = load_backbone(str(path), "tiny")
    if change is other_epsilon:
        assert not same(backbone.network, tiny)  # it is the file's numbers that count
    else:
        assert same(backbone.network, tiny)


def changed(exported: Path, path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(exported)
    change(model)
    onnx.save(model, path)


def elsewhere(where: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[5]
        external_data_helper.set_external_data(tensor, where)
        tensor.ClearField("raw_data")

    return change


def hidden_elsewhere(model: onnx.ModelProto) -> None:
    """In a branch of a node that nothing needs."""
    tensor = TensorProto(name="secret", data_type=TensorProto.UINT8, dims=[8], raw_data=bytes(8))
    external_data_helper.set_external_data(tensor, "secret")
    branch = helper.make_graph([helper.make_node("Identity", ["secret"], ["out"])], "branch", [], [], [tensor])
    model.graph.node.insert(
        0, helper.make_node("If", ["condition"], ["unused"], then_branch=branch, else_branch=branch)
    )


def negated(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Neg"


def softmaxed(model: onnx.ModelProto) -> None:
    last = model.graph.node[-1]
    outer, last.output[0] = last.output[0], "inner"
    model.graph.node.append(helper.make_node("Softmax", ["inner"], [outer], axis=1))


def unknown_node(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Perceptron"


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 32


def another_layer(model: onnx.ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("MatMul", [model.graph.node[-1].output[0], "last_linear.weight"], ["more"])
    )


def without_fc(model: onnx.ModelProto) -> None:
    model.graph.node.pop()


def narrow_fc(model: onnx.ModelProto) -> None:
    for name in model.graph.node[-1].input[1:]:
        (tensor,) = (each for each in model.graph.initializer if each.name == name)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:12].copy(), name))


def computed_weight(model: onnx.ModelProto) -> None:
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.insert(0, helper.make_node("Abs", [convolution.input[1]], ["computed"]))
    convolution.input[1] = "computed"


def short_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:100]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (elsewhere("/etc/passwd"), "in another file"),
        (elsewhere("../weights.bin"), "in another file"),
        (elsewhere("weights.bin"), "in another file"),
        (hidden_elsewhere, "in another file"),
        (negated, "computes something else"),
        (softmaxed, "computes something else"),
        (unknown_node, "cannot be run"),
        (other_input, "cannot be run"),
        (without_fc, "no last_linear.weight"),
        (another_layer, "unknown layer 4.weight"),
        (narrow_fc, "last_linear.weight is 12x20, not 30x20"),
        (computed_weight, "is computed, not stored"),
        (short_tensor, "cannot be read"),
    ],
)
def test_what_is_not_the_network(exported, path, change: Callable[[onnx.ModelProto], None], says: str):
    (path.parent / "weights.bin").write_bytes(bytes(100))
    changed(exported, path, change)
    assert says in refused(path)


@pytest.mark.parametrize("kept", [0.0001, 0.5, 0.9999])
def test_a_file_cut_off(exported, path, kept: float):
    content = exported.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "not an ONNX file, or a damaged one" in refused(path)


@pytest.mark.parametrize("content", [b"weights, honestly\n", bytes(1000), b"\x08\x07", b"PK\x03\x04" + bytes(100)])
def test_not_onnx(tiny, path, content: bytes):
    path.write_bytes(content)
    assert "not " in refused(path)


def test_a_checkpoint_of_that_name(tiny, path):
    torch.save({"state_dict": {"fc.bias": torch.zeros(3)}}, path)
    assert "not " in refused(path)


def refused(path: Path, backbone: str = "tiny") -> str:
    with pytest.raises(InputError) as caught:
        load_backbone(str(path), backbone)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "; " in message
    return message
