"""conv5 on stored activations: the 2-D form against the backbone's own 3-D layer."""

import numpy as np
import pytest
import torch
from synthetic import tail as random_tail
from torch import nn
from torch.nn import functional

from extract.backbones.r3d34 import R3D34
from heads.conv5 import Conv5

pytestmark = pytest.mark.parametrize("shortcut", ["A", "B"])


def by_hand(x: torch.Tensor, weights: dict[str, torch.Tensor], training: bool) -> torch.Tensor:
    """Compute conv5 and the average pool as Hara et al. do, with functions alone."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        running = (weights[f"{name}.running_mean"].clone(), weights[f"{name}.running_var"].clone())
        return functional.batch_norm(x, *running, weights[f"{name}.weight"], weights[f"{name}.bias"], training)

    for block in range(3):
        stride, name = 2 if block == 0 else 1, f"layer4.{block}"
        shortcut = x
        if block == 0 and "layer4.0.downsample.0.weight" in weights:
            shortcut = functional.conv3d(x, weights["layer4.0.downsample.0.weight"], stride=2)
            shortcut = norm(shortcut, "layer4.0.downsample.1")
        elif block == 0:
            shortcut = functional.avg_pool3d(x, kernel_size=1, stride=2)
            shortcut = torch.cat([shortcut, torch.zeros_like(shortcut)], dim=1)
        x = functional.conv3d(x, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
        x = functional.relu(norm(x, f"{name}.bn1"))
        x = norm(functional.conv3d(x, weights[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
        x = functional.relu(x + shortcut)
    return x.mean(dim=(2, 3, 4))


def activations(clips: int = 3) -> torch.Tensor:
    return torch.randn(clips, 256, 2, 7, 7, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
def test_outputs_and_gradients_equal_the_3d_form(shortcut: str, training: bool) -> None:
    tail = random_tail(shortcut)
    weights = {name: torch.from_numpy(values.copy()) for name, values in tail.items()}
    learned = {name: value.requires_grad_() for name, value in weights.items() if "running" not in name}
    ours = Conv5(tail).train(training)
    x, x_3d = activations().requires_grad_(), activations().requires_grad_()
    pooled, expected = ours(x), by_hand(x_3d, weights, training)
    assert pooled.shape == (3, 512)
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-4)

    direction = torch.randn(3, 512, generator=torch.Generator().manual_seed(2))
    (pooled * direction).sum().backward()
    (expected * direction).sum().backward()
    scale = float(x_3d.grad.abs().max())
    torch.testing.assert_close(x.grad, x_3d.grad, rtol=1e-3, atol=1e-4 * scale)
    # The 3-D weights' gradients in the 2-D weights' places; dead taps have none.
    first, live = ours.blocks[0].conv1.weight.grad, learned["layer4.0.conv1.weight"].grad
    both = torch.cat([live[:, :, 1], live[:, :, 2]], dim=1)
    torch.testing.assert_close(first, both, rtol=1e-3, atol=1e-4 * float(both.abs().max()))
    assert (live[:, :, 0] == 0).all()
    for block, layer in ((0, 2), (1, 1), (1, 2), (2, 1), (2, 2)):
        ours_grad = ours.blocks[block].get_submodule(f"conv{layer}").weight.grad
        grad = learned[f"layer4.{block}.conv{layer}.weight"].grad
        torch.testing.assert_close(ours_grad, grad[:, :, 1], rtol=1e-3, atol=1e-4 * float(grad.abs().max()))
        assert (grad[:, :, [0, 2]] == 0).all()
    if shortcut == "B":
        ours_grad = ours.downsample[0].weight.grad
        grad = learned["layer4.0.downsample.0.weight"].grad[:, :, 0]
        torch.testing.assert_close(ours_grad, grad, rtol=1e-3, atol=1e-4 * float(grad.abs().max()))


def test_outputs_equal_the_backbones_layer(shortcut: str) -> None:
    network = R3D34(shortcut=shortcut)
    tail = random_tail(shortcut)
    network.load_state_dict({name: torch.from_numpy(values) for name, values in tail.items()}, strict=False)
    network.eval()
    with torch.inference_mode():
        expected = network.layer4(activations()).mean(dim=(2, 3, 4))
        torch.testing.assert_close(Conv5(tail).eval()(activations()), expected, rtol=1e-4, atol=1e-4)


def test_training_keeps_the_3d_forms_statistics(shortcut: str) -> None:
    network = R3D34(shortcut=shortcut)
    tail = random_tail(shortcut)
    network.load_state_dict({name: torch.from_numpy(values) for name, values in tail.items()}, strict=False)
    ours = Conv5(tail).train()
    with torch.no_grad():
        network.train().layer4(activations())
        ours(activations())
    back = ours.to_3d(tail)
    for name, values in network.state_dict().items():
        if name.startswith("layer4.") and "running" in name:
            np.testing.assert_allclose(back[name], values.numpy(), rtol=1e-3, atol=1e-4)


def test_back_to_3d_unchanged(shortcut: str) -> None:
    tail = random_tail(shortcut)
    back = Conv5(tail).to_3d(tail)
    assert set(back) == {name for name in tail if name.startswith("layer4.")}
    for name, values in back.items():
        np.testing.assert_array_equal(values, tail[name])


def test_back_to_3d_after_a_change(shortcut: str) -> None:
    tail = random_tail(shortcut)
    before = {name: values.copy() for name, values in tail.items()}
    conv5 = Conv5(tail)
    with torch.no_grad():
        for parameter in conv5.parameters():
            parameter.add_(1)
    back = conv5.to_3d(tail)
    for name, values in back.items():
        change = values - before[name]
        if values.ndim == 5 and values.shape[2] == 3:
            dead = [0] if values.shape[1] == 256 else [0, 2]
            assert (change[:, :, dead] == 0).all()
            change = np.delete(change, dead, axis=2)
        if "running" not in name:
            np.testing.assert_allclose(change, 1, atol=1e-5)
        np.testing.assert_array_equal(tail[name], before[name])  # what it was made from stays
    with torch.inference_mode():
        again, same = (each.eval()(activations()) for each in (Conv5(back), conv5))
    torch.testing.assert_close(again, same)


def test_parameters_are_a_third(shortcut: str) -> None:
    conv5 = Conv5(random_tail(shortcut))
    weights = [module.weight.numel() for module in conv5.modules() if isinstance(module, nn.Conv2d)]
    assert sum(weights) == 9 * 512 * (2 * 256 + 5 * 512) + (256 * 512 if shortcut == "B" else 0)
