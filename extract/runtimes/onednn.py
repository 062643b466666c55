"""The trunk in oneDNN's own terms, for a CPU: convolution, sum and ReLU in one step, in bites that fit.

Two things make it faster than the folded network. Each convolution adds the shortcut and cuts off below
zero while its output is still at hand, with weights that lie as its kernel wants them; these are the steps
that torch.compile puts together, without the compiler that it needs. And the large activations near the
input are computed for few clips at once: the C library gives blocks of more than 32 MiB back to the system
whenever they are freed, and clearing their pages again takes a fifth of the first convolution's time.

The operators are torch's, but not of its documented part. Whoever calls this must do without where they are
missing.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp, TensorMetadata
from torch.fx.passes.split_module import split_module
from torch.nn import functional

from extract.runtimes.inputs import BATCH

# A part of the trunk, with the number of clips that it takes at once.
Stage = tuple[int, Callable[[Tensor], Tensor]]

_KEPT = 32 << 20  # bytes; a larger block is not kept by glibc
_RELUS = (nn.ReLU, functional.relu, functional.relu_, torch.relu, torch.relu_, "relu", "relu_")
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")


class _Convolution(nn.Module):
    """A convolution, with the sum and the ReLU that follow it.

    Parameters
    ----------
    convolution : nn.Conv3d
        Its weights and settings.
    relu : bool
        Whether a ReLU comes last.
    """

    def __init__(self, convolution: nn.Conv3d, relu: bool):
        super().__init__()
        self.weight, self.bias = convolution.weight.detach(), convolution.bias
        self.settings = (
            list(convolution.padding),
            list(convolution.stride),
            list(convolution.dilation),
            convolution.groups,
        )
        self.relu = relu

    def pack(self, shape: list[int]) -> None:
        """Lay the weights as oneDNN wants them for inputs of a shape; other shapes stay possible."""
        weight = self.weight.contiguous(memory_format=torch.channels_last_3d)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.settings, shape)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Map x (N, C_in, T, H, W), and what is added to the result, to the result (N, C, T', H', W')."""
        step = torch.ops.mkldnn._convolution_pointwise
        common = (self.weight, self.bias, *self.settings)
        if added is None:
            return step.default(x, *common, "relu" if self.relu else "none", [], "")
        return step.binary(x, added, *common, "add", 1.0, "relu" if self.relu else None, [], None)


def stages(folded: fx.GraphModule, example: Tensor) -> list[Stage]:
    """Return the trunk in one or two parts, to be run one after the other.

    Parameters
    ----------
    folded : fx.GraphModule
        The trunk without batch norms; it is changed.
    example : Tensor
        An input of one clip, (1, 3, 16, H, W).

    Raises
    ------
    AttributeError, NotImplementedError, RuntimeError, TypeError
        If this build of torch lacks these operators, or has others of that name.
    """
    ShapeProp(folded).propagate(example)
    _fuse(folded)
    cut = _cut(folded.graph)
    parts = split_module(folded, folded, lambda node: int(node > cut))
    found: list[Stage] = []
    for part in parts.children():
        assert isinstance(part, fx.GraphModule)
        largest = max(_bytes(node) for node in part.graph.nodes)
        at_once = min(BATCH, max(1, _KEPT // largest))
        for node in part.graph.nodes:
            if node.op == "call_module" and isinstance(module := part.get_submodule(node.target), _Convolution):
                module.pack([at_once, *node.all_input_nodes[0].meta["tensor_meta"].shape[1:]])
        found.append((at_once, part))
    return found


def _fuse(module: fx.GraphModule) -> None:
    """Replace each convolution by a `_Convolution` that does what follows it, too."""
    graph = module.graph
    for number, node in enumerate(list(graph.nodes)):
        if not _is(node, module, (nn.Conv3d,)):
            continue
        convolution = module.get_submodule(node.target)
        assert isinstance(convolution, nn.Conv3d)
        if convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
            continue
        last, inputs = node, node.all_input_nodes
        following = _only_user(last)
        if following is not None and _is(following, module, _SUMS) and _sums_alike(following):
            inputs.append(next(term for term in following.args if term is not node))
            last, following = following, _only_user(following)
        relu = following is not None and _is(following, module, _RELUS)
        if relu:
            last = following
        module.add_submodule(f"fused{number}", _Convolution(convolution, relu))
        with graph.inserting_after(last):
            fused = graph.call_module(f"fused{number}", tuple(inputs))
        fused.meta = last.meta
        last.replace_all_uses_with(fused)
    graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()


def _is(node: fx.Node, module: fx.GraphModule, kinds: tuple[Any, ...]) -> bool:
    if node.op != "call_module":
        return node.target in kinds
    types = tuple(kind for kind in kinds if isinstance(kind, type))
    return isinstance(module.get_submodule(str(node.target)), types)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _sums_alike(node: fx.Node) -> bool:
    """Whether a sum is of two different tensors of the same shape, with nothing else to it."""
    terms = [term for term in node.args if isinstance(term, fx.Node)]
    if len(terms) != 2 or len(node.args) != 2 or node.kwargs or terms[0] is terms[1]:
        return False
    first, second = (term.meta.get("tensor_meta") for term in terms)
    return isinstance(first, TensorMetadata) and isinstance(second, TensorMetadata) and first.shape == second.shape


def _cut(graph: fx.Graph) -> fx.Node:
    """Return the first step after which nothing but its result is needed, and a full batch is kept throughout.

    Where there is none it is the last step, so that there is one part only.
    """
    steps = [node for node in graph.nodes if node.op != "output"]
    for position, step in enumerate(steps):
        rest = steps[position + 1 :]
        needed = {source for node in rest for source in node.all_input_nodes} - set(rest)
        if needed <= {step} and all(_bytes(node) * BATCH <= _KEPT for node in [step, *rest]):
            return step
    return steps[-1]


def _bytes(node: fx.Node) -> int:
    """Size of a step's result for one clip; 0 where it is no tensor."""
    meta = node.meta.get("tensor_meta")
    return meta.shape.numel() * meta.dtype.itemsize if isinstance(meta, TensorMetadata) else 0
