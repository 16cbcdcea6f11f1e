"""The settings of the paper: its models, its two tables of parameters, and its ablations."""

from sklearn_fsmd import (
    BaseMTL,
    DeepFMClassifier,
    ESMMClassifier,
    FGClassifier,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    PLEClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
)

MODELS = {
    "Single-Task": SingleTaskClassifier,
    "DeepFM": DeepFMClassifier,
    "Shared-Bottom": SharedBottomClassifier,
    "ESMM": ESMMClassifier,
    "MMoE": MMoEClassifier,
    "PLE": PLEClassifier,
    "Base": BaseMTL,
    "FG": FGClassifier,
    "FS": FSClassifier,
    "FSMD": FSMDClassifier,
}
TABLE_2 = ("Single-Task", "Shared-Bottom", "MMoE", "PLE", "Base", "FG", "FS", "FSMD")
TABLE_4 = ("Single-Task", "DeepFM", "Shared-Bottom", "ESMM", "MMoE", "Base", "FG", "FS", "FSMD")

MMOE_GATES = {"n_experts": 8}
PLE_GATES = {"n_task_experts": 4, "n_shared_experts": 4, "n_levels": 2}
MLP_GATES = {"gate_dims": (64,)}
OF_MODEL = {
    "MMoE": MMOE_GATES,
    "FG": {**MMOE_GATES, **MLP_GATES},
    "PLE": {**PLE_GATES, "gate_dims": ()},
    "FS": {**PLE_GATES, **MLP_GATES},
    "FSMD": {**PLE_GATES, **MLP_GATES},
}
"""Parameters of single models, as in the paper: each gate of a task mixes eight experts."""

AUTOENCODER = {"pretrain_epochs": 5}
BIAS_TOWER = {"bias_features": ["tab"]}
WITH_PARTS = {
    "table2": {"FS, autoencoder": ("FS", AUTOENCODER)},
    "table4": {
        "FSMD, autoencoder": ("FSMD", AUTOENCODER),
        "FSMD, bias tower": ("FSMD", BIAS_TOWER),
        "FSMD, both": ("FSMD", {**AUTOENCODER, **BIAS_TOWER}),
    },
}
"""The components that the paper names without equations, added one by one."""

PAPER = {
    "table2": {
        "Single-Task": (0.9198, 0.9748),
        "Shared-Bottom": (0.9148, 0.9754),
        "MMoE": (0.9152, 0.9756),
        "PLE": (0.9161, 0.9764),
        "Base": (0.9134, 0.9706),
        "FG": (0.9146, 0.9693),
        "FS": (0.9216, 0.9756),
    },
    "table4": {
        "Single-Task": (0.7192, 0.6635),
        "DeepFM": (0.719, 0.658),
        "Shared-Bottom": (0.7184, 0.6916),
        "ESMM": (0.7189, 0.6897),
        "MMoE": (0.7201, 0.7057),
        "Base": (0.7193, 0.7086),
        "FG": (0.7201, 0.7084),
        "FS": (0.7204, 0.7114),
        "FSMD": (0.7205, 0.7117),
    },
}
"""The AUCs that the paper reports for its two tasks."""

PLAIN = {
    "optimizer": "adam",
    "lr": 1e-3,
    "embedding_dim": 4,
    "batch_norm": True,
    "weight_decay": 0.0,
    "average_decay": 0.0,
    "numeric_bins": 0,
    "min_frequency": 1,
    "unknown_rate": 0.0,
    "target_statistics": None,
    "chain_loss": "entire_space",
    "fm_scale": 1.0,
    "logistic_regression": False,
}
"""The parameters that both tables share, without the additions of this library."""

TABLE_1 = {**PLAIN, "batch_size": 256, "expert_dims": (512, 256), "dropout": 0.0}
TABLE_3 = {**PLAIN, "batch_size": 2048, "expert_dims": (256, 128), "dropout": 0.5}

SKELETON = {**TABLE_3, "tower_dims": (256, 128), "gate_dims": (), "n_task_experts": 4, "n_shared_experts": 4}
"""The network that the ablations vary: each task's gate mixes eight experts, four of them its own."""

BOTTOMS = [{"n_levels": [1], "expert_dims": [(256, 128)]}, {"n_levels": [2], "expert_dims": [(256,)]}]
"""The two interpretations of "Bottom_mlp_dims (256, 128)": the widths of an expert, and two levels."""

VARIED = {
    "figure11": [
        {"tower_dims": [(128, 128, 128), (64, 128, 256), (256, 128, 64), (64, 128, 64)], "gate_dims": [(64,)]}
    ],
    "figure12": [{"gate_dims": [(64,) * n_hidden for n_hidden in range(4)]}],
    "figure13": [{"n_task_experts": [n // 2], "n_shared_experts": [n // 2]} for n in (2, 4, 6, 8, 10, 12)],
}
"""The grid of each figure. A gate of n layers has n − 1 hidden layers and the linear map to the experts."""

ABLATIONS = {figure: [{**points, **bottom} for bottom in BOTTOMS for points in grid] for figure, grid in VARIED.items()}

CONFLICTS = (-0.6, 0.0, 0.6)
"""Conflicts of the simulated funnel: how much the tastes that make clicks likely make conversions unlikely."""

COMMON = {"max_epochs": 30, "patience": 2}
"""The paper trains for 30 epochs; ids are memorised after two, so early stopping on validation data is used."""
