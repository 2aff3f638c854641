"""Layers of the configuration, the text of --set, and what is said of a setting that cannot be used."""

from pathlib import Path

import pytest

from pipeline.config.evaluation import Threshold
from pipeline.config.loading import config_toml, load_config, preset_names, setting_keys
from pipeline.config.schema import Config
from trainer_module.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write_file(text: str) -> Path:
        file = tmp_path / "my.toml"
        file.write_text(text)
        return file

    return write_file


def refused(**layers) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(**layers)
    return str(caught.value)


def test_each_layer_overrides_the_one_below(write):
    assert load_config() == Config()
    blog = load_config(preset="blog")
    assert (blog.preset, blog.trainer.epochs, blog.trainer.batch_size) == ("blog", 10, 64)
    file = write('preset = "blog"\n[trainer]\nepochs = 20\nseed = 1')
    assert load_config(file=file, overrides=["trainer.epochs=30"]).trainer == blog.trainer.model_copy(
        update={"epochs": 30, "seed": 1}
    )
    assert load_config(preset="blog", file=write("trainer.epochs = 20")).trainer.epochs == 20
    overridden = load_config(overrides=["trainer.epochs=1", "trainer.epochs=2", "pipeline.root=a"], pipeline_root="b")
    assert (overridden.trainer.epochs, overridden.pipeline.root) == (2, "b")


def test_the_presets_are_what_their_names_promise():
    assert preset_names() == ["blog", "demo", "pets"]
    demo, blog, pets = (load_config(preset=name) for name in ("demo", "blog", "pets"))
    assert demo.data.dataset == "synthetic_pets"
    assert blog.data.splits == {"train": "train", "eval": "test"}
    assert (blog.evaluation.split, blog.data.normalization, blog.data.image_size) == ("eval", "unit", 128)
    assert pets.data.splits == {"train": "train[:90%]", "eval": "train[90%:]", "test": "test"}
    assert (pets.evaluation.split, pets.data.normalization, pets.trainer.model) == ("test", "lite", "unet_lite0")
    assert [c.evaluation.min_accuracy for c in (demo, blog, pets)] == [0.85, 0.80, 0.88]
    assert [c.pipeline.name for c in (demo, blog, pets)] == ["petseg-demo", "petseg-blog", "petseg-pets"]


@pytest.mark.parametrize("preset", [None, *preset_names()])
def test_what_show_config_prints_loads_to_the_same(preset, write):
    overrides = ["trainer.early_stopping_patience=none", "evaluation.thresholds.loss.max=0.5", "push.destination=x"]
    config = load_config(preset=preset, overrides=overrides)
    assert load_config(file=write(config_toml(config))) == config


@pytest.mark.parametrize(("name", "is_taken"), [("pets", True), ("p" * 63, True), ("pets-", False), ("p" * 64, False)])
def test_a_pipelines_name_is_a_label_of_dns(name, is_taken):
    overrides = [f"pipeline.name={name}"]
    if is_taken:
        assert load_config(overrides=overrides).pipeline.name == name
    else:
        assert f"pipeline.name = '{name}' (--set pipeline.name={name}): it should match" in refused(overrides=overrides)


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("gs://bucket/models/", "gs://bucket/models"),
        ("gs://bucket//models///a//", "gs://bucket/models/a"),
        ("gs://bucket/", "gs://bucket"),
        ("gs://bucket", "gs://bucket"),
        ("models/", "models"),
        ("/a//b/", "/a/b"),
        ("/", "/"),
        ("2024", "2024"),
    ],
)
@pytest.mark.parametrize("setting", ["push.destination", "pipeline.root", "data.data_dir", "trainer.warm_start"])
def test_a_location_has_no_needless_slashes(setting, given, tidy):
    section, key = setting.split(".")
    assert getattr(getattr(load_config(overrides=[f"{setting}={given}"]), section), key) == tidy


@pytest.mark.parametrize(
    ("setting", "given", "tidy"),
    [
        ("kubeflow.pipeline_root", "s3://bucket//v2/", "s3://bucket/v2"),
        ("kubeflow.pipeline_root", "minio://b/v2/?endpoint=http://h:9000/", "minio://b/v2?endpoint=http://h:9000/"),
        ("kubeflow.serving_volume.mount_path", "/serving/", "/serving"),
        ("kubeflow.data_cache.mount_path", "//cache", "/cache"),
        ("push.kserve.storage_uri", "pvc://claim//pets/", "pvc://claim/pets"),
    ],
)
def test_neither_has_one_with_a_form_of_its_own(setting, given, tidy):
    value = load_config(overrides=[f"{setting}={given}"])
    for key in setting.split("."):
        value = getattr(value, key)
    assert value == tidy


def test_a_root_of_the_command_line_is_tidy_too():
    assert load_config(pipeline_root="gs://bucket/runs/").pipeline.root == "gs://bucket/runs"


def test_what_is_unset_inside_a_list_comes_back_as_toml(write):
    config = load_config(overrides=['kubeflow.trainer.tolerations=[{key = "nvidia.com/gpu", effect = "NoSchedule"}]'])
    assert config.kubeflow.trainer.tolerations[0].value is None
    assert load_config(file=write(config_toml(config))) == config


@pytest.mark.parametrize(
    ("override", "section", "field", "value"),
    [
        ("data.data_dir=../x", "data", "data_dir", "../x"),
        ("data.data_dir=2024", "data", "data_dir", "2024"),
        ("data.data_dir='quoted'", "data", "data_dir", "quoted"),
        ("data.data_dir=a=b", "data", "data_dir", "a=b"),
        ("data.dataset=oxford_iiit_pet:4.*.*", "data", "dataset", "oxford_iiit_pet:4.*.*"),
        ("data.download=false", "data", "download", False),
        ("trainer.epochs = 3", "trainer", "epochs", 3),
        ("trainer={epochs=4}", "trainer", "epochs", 4),
        ("trainer.learning_rate=1e-4", "trainer", "learning_rate", 1e-4),
        ("evaluation.slices=[]", "evaluation", "slices", ()),
        ("push.destination=none", "push", "destination", None),
    ],
)
def test_the_text_of_a_setting_is_toml_or_else_plain(override, section, field, value):
    assert getattr(getattr(load_config(overrides=[override]), section), field) == value


def test_a_table_in_a_file_replaces_and_one_key_changes_one_entry(write):
    file = write('evaluation.split = "eval"\n[data.splits]\ntrain = "train"\neval = "test"')
    assert load_config(file=file).data.splits == {"train": "train", "eval": "test"}
    one = load_config(file=file, overrides=["data.splits.train=train[:5]"])
    assert one.data.splits == {"train": "train[:5]", "eval": "test"}
    of_defaults = load_config(overrides=["data.splits.train=train[:5]"])
    assert of_defaults.data.splits == Config().data.splits | {"train": "train[:5]"}
    bounds = ["evaluation.thresholds.iou_border.min=0.3", "evaluation.thresholds.iou_border.max=0.9"]
    assert load_config(overrides=bounds).evaluation.thresholds == {"iou_border": Threshold(min=0.3, max=0.9)}


def test_one_bound_of_a_change_is_set_beside_the_default(write):
    name = "evaluation.change_thresholds"
    of = lambda **layers: load_config(**layers).evaluation.change_thresholds  # noqa: E731
    default = {"accuracy": Threshold(min=-0.01)}
    assert of() == default
    assert of(overrides=[f"{name}.accuracy.max=0.5"]) == {"accuracy": Threshold(min=-0.01, max=0.5)}
    assert of(overrides=[f"{name}.loss.max=0.1"]) == default | {"loss": Threshold(max=0.1)}
    assert of(overrides=[f"{name}={{}}"]) == {}
    assert of(file=write("[evaluation]\nchange_thresholds.loss = { max = 0.1 }")) == {"loss": Threshold(max=0.1)}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("trainer.epoch", "trainer.epochs"),
        ("epochs", "trainer.epochs"),
        ("train.epochs", "trainer.epochs"),
        ("trainer.data_dir", "data.data_dir"),
        ("pipeline.Root", "pipeline.root"),
        ("evaluation.thresholds.loss.mx", "evaluation.thresholds.loss.max"),
    ],
)
def test_an_unknown_key_is_refused_where_it_stands_with_the_nearest(key, nearest, write):
    assert refused(overrides=[f"{key}=3"]) == f"there is no setting {key!r} (--set {key}=3); did you mean {nearest!r}?"
    file = write(f"{key} = 3")
    assert refused(file=file) == f"there is no setting {key!r} ({file}); did you mean {nearest!r}?"


@pytest.mark.parametrize(
    ("override", "end"),
    [
        ("trainer.loss=dise", "'cross_entropy', 'dice' or 'cross_entropy_dice'; did you mean 'dice'?"),
        ("trainer.optimizer=sdg", "'adam', 'adamw' or 'sgd'; did you mean 'sgd'?"),
        ("trainer.augmentation.rotation=181", "it should be less than or equal to 180"),
        ("trainer.augmentation.contrast=1", "it should be less than 1"),
    ],
)
def test_a_message_ends_with_what_is_allowed_and_of_names_with_the_nearest(override, end):
    assert refused(overrides=[override]).endswith(end)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.epochs=0", "trainer.epochs = 0 (--set trainer.epochs=0): it should be greater than or equal to 1"),
        ("trainer.epochs=x", "trainer.epochs = 'x' (--set trainer.epochs=x): it should be a valid integer"),
        ("trainer=3", "trainer = 3 (--set trainer=3): it should be"),
        ("trainer.epochs.x=3", "trainer.epochs = {'x': 3} (--set trainer.epochs.x=3): it should be a valid integer"),
        (
            "data.normalization=foo",
            "data.normalization = 'foo' (--set data.normalization=foo): it should be 'unit', 'standardize', 'signed'",
        ),
        ("data.mask_values=[1,2,999]", "data.mask_values[2] = 999 (--set data.mask_values=[1,2,999]): it should be"),
        (
            "evaluation.slices=species",
            "evaluation.slices = 'species' (--set evaluation.slices=species): it should be a",
        ),
        ("evaluation.split=foo", "evaluation.split is 'foo', but data.splits has ['eval', 'test', 'train']"),
        ("trainer.optimizer=adamw", "trainer: optimizer is 'adamw', which is Adam with weight decay"),
        ("trainer.class_weights=balance", "trainer.class_weights: 'balance' is neither 'balanced' nor a list"),
        ("trainer.class_weights=[1,0,1]", "trainer.class_weights: [1, 0, 1] is neither 'balanced' nor a list"),
        (
            "trainer.class_weights=[1,2]",
            "trainer.class_weights has 2 numbers, and data.class_names has 3: pet, backgro",
        ),
        ('trainer={loss="dice", class_weights="balanced"}', "trainer: class_weights weigh the cross-entropy, and loss"),
        ("trainer.augmentation.scale=[0,1]", "trainer.augmentation.scale[0] = 0"),
        ("trainer.augmentation.scale=[2,1]", "trainer.augmentation: scale goes from 2.0 to 1.0; put the least first"),
        ("trainer.warmup_epochs=11", "trainer: warmup_epochs is 11, but there are only 10 epochs"),
        ('data.slice_features=["example_id"]', "data: slice_features has 'example_id', which is what petseg calls a"),
        ("data.mask_values=[1,2]", "data: mask_values has 2 entries and class_names 3"),
        ("evaluation.thresholds.foo.min=1", "evaluation.thresholds.foo: there is no metric 'foo': did you mean '"),
        (
            "evaluation.change_thresholds.mean_iuo.min=0",
            "evaluation.change_thresholds.mean_iuo: there is no metric 'mean_iuo': did you mean 'mean_iou' or 'mean",
        ),
        (
            "evaluation.change_thresholds.labelled_share.min=0",
            "labelled_share is of the evaluated data, the same for every model: bound it with min or max",
        ),
        (
            'evaluation.slice_thresholds=[{feature="species", metric="unlabelled_images", max_change=1}]',
            "unlabelled_images is of the evaluated data",
        ),
        ("evaluation.change_thresholds.loss.min=0", "evaluation: change_thresholds.loss has min alone"),
        (
            'evaluation.slice_thresholds=[{feature="specie", metric="loss", max=1}]',
            "evaluation: slice_thresholds[0].feature is 'specie', which is not in slices: did you mean 'species' or",
        ),
        (
            'evaluation.slice_thresholds=[{feature="species", metric="los", max=1}]',
            "evaluation.slice_thresholds[0].metric: there is no metric 'los': did you mean 'loss' or",
        ),
        ('evaluation.slice_thresholds=[{feature="species", metric="loss"}]', "evaluation.slice_thresholds.0: a thresh"),
        (
            'evaluation.slice_thresholds=[{feature="species", metric="loss", min_change=2, max_change=1}]',
            "evaluation.slice_thresholds.0: no value satisfies min_change = 2.0 and max_change = 1.0",
        ),
        (
            'evaluation.slice_thresholds=[{feature="species", metric="loss", max=1}, '
            '{feature="species", value="Cat", metric="loss", min=2}]',
            "evaluation: slice_thresholds[0] and [1] contradict each other on species = Cat: no loss satisfies "
            "min = 2.0 and max = 1.0",
        ),
        ("evaluation.slices=[specie]", "evaluation.slices = '[specie]'"),
        (
            'evaluation.slices=["specie"]',
            "evaluation.slices has 'specie', but data.slice_features has ['species', 'label",
        ),
        (
            "data.splits.test=train[50%:]",
            "data.splits.train is 'train[:90%]' and data.splits.test is 'train[50%:]': they share",
        ),
        (
            "data.splits.reference=test",
            "data: splits has 'reference', which is the name of the split of evaluation.ref",
        ),
        (
            "data.hash_split={of='train', shares={train=8, eval=1}}",
            "evaluation.split is 'test', but data.hash_split.shares has ['eval', 'train']",
        ),
        ("data.hash_split={of='train', shares={train=8, test=1}}", "data: hash_split.shares has no 'eval'; it has ["),
        ("data.hash_split={of='train', shares={}}", "data: hash_split.shares has no 'train'; it has []"),
        (
            "data.hash_split={of='train', shares={train=0}}",
            "data.hash_split.shares.train = 0 (--set data.hash_split={o",
        ),
        (
            "data.hash_split={of='train', share={}}",
            "there is no setting 'data.hash_split.share' (--set data.hash_split",
        ),
        ("data.hash_split.by=file_name", "data.hash_split.of = {'by': 'file_name'}: Field required"),
        ("evaluation.reference=tiles:1.*.*", "evaluation.reference: 'tiles:1.*.*' is not one version of a data set"),
        (
            "evaluation.reference=tiles",
            "evaluation.reference: 'tiles' is not one version of a data set, and what is froz",
        ),
        ("preset=blog", "--set preset=blog: start from a preset with --preset"),
        ("trainer.epochs", "--set expects key=value, as in --set trainer.epochs=3; got 'trainer.epochs'"),
        ("=3", "--set expects key=value"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_allowed(override, message):
    assert refused(overrides=[override]).startswith(message)


def test_splits_by_a_hash_stand_in_place_of_those_of_a_preset_and_are_written_out(write):
    parted = load_config(preset="pets", overrides=["data.hash_split={of='train+test'}", "data.window=90d"])
    assert parted.data.splits == dict.fromkeys(("train", "eval", "test"), "train+test")
    assert load_config(file=write(config_toml(parted))) == parted
    assert Config.model_validate(parted.model_dump(exclude_defaults=True)) == parted
    assert load_config(preset="pets", overrides=["data.hash_split=none"]) == load_config(preset="pets")
    both = ["data.hash_split={of='train+test'}", "data.splits={train='train', eval='test', test='test'}"]
    assert "there is one way or the other; leave splits out, or set hash_split to none" in refused(overrides=both)


def test_bounds_of_different_slices_do_not_contradict_each_other():
    cat = '{feature="species", value="Cat", metric="loss", max=1}'
    others = [
        '{feature="species", value="Dog", metric="loss", min=2}', '{feature="label", metric="loss", min=2}',
        '{feature="species", value="Cat", metric="ece", min=2}', '{feature="species", metric="loss", min_change=2}',
    ]  # fmt: skip
    for other in others:
        assert load_config(overrides=[f"evaluation.slice_thresholds=[{cat}, {other}]"])


def test_the_error_names_the_layer_that_gave_the_value(write):
    file = write("trainer.epochs = 0")
    assert refused(file=file, overrides=["trainer.seed=1"]).startswith(f"trainer.epochs = 0 ({file}): ")
    several = refused(file=file, overrides=["trainer.seed=-1"])
    assert several.splitlines()[0] == "2 settings cannot be used:"
    assert "trainer.seed = -1 (--set trainer.seed=-1)" in several


@pytest.mark.parametrize(
    ("text", "message"),
    [("[trainer\n", "is no valid TOML: Expected ']'"), ('preset = "pts"', "no preset 'pts'; did you mean 'pets'?")],
)
def test_a_file_that_cannot_be_read_is_named(text, message, write, tmp_path):
    assert message in refused(file=write(text))
    assert "No such file" in refused(file=tmp_path / "absent.toml")
    assert "Is a directory" in refused(file=tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "is no UTF-8 text" in refused(file=tmp_path / "binary")


def test_two_presets_contradict(write):
    assert "so --preset demo cannot be given too" in refused(preset="demo", file=write('preset = "pets"'))


def test_setting_keys_are_the_leaves():
    keys = setting_keys()
    assert {"trainer.epochs", "data.splits", "evaluation.thresholds", "preset"} <= set(keys)
    assert "trainer" not in keys
