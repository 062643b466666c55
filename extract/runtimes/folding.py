"""Batch norm folded into the convolutions before it: fewer steps, the same function."""

import copy

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _Tracer(fx.Tracer):
    """Takes every convolution as one step, torchvision's own kinds too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv3d) or super().is_leaf_module(m, module_qualified_name)


def fold(trunk: nn.Module) -> fx.GraphModule:
    """Return a copy, in evaluation mode, whose convolutions include the batch norm that follows them.

    Parameters
    ----------
    trunk : nn.Module
        Anything that torch.fx can trace; it is left as it is.
    """
    trunk = copy.deepcopy(trunk).eval().requires_grad_(False)
    graph = _Tracer().trace(trunk)
    modules = dict(trunk.named_modules())
    called = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm3d):
            continue
        before = node.args[0]
        # A convolution that is used twice, or whose own output is, stays as it is.
        if before.op == "call_module" and called.count(before.target) == 1 and len(before.users) == 1:
            convolution, norm = modules[before.target], modules[node.target]
            if isinstance(convolution, nn.Conv3d):
                trunk.set_submodule(before.target, fuse_conv_bn_eval(convolution, norm))
                node.replace_all_uses_with(before)
                graph.erase_node(node)
    return fx.GraphModule(trunk, graph)
