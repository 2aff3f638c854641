"""What [kubeflow] refuses before anything is compiled."""

import pytest

from pipeline.config.loading import config_toml, load_config
from trainer_module.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("kubeflow.trainer.gpus=1", "names no node pool"),
        ('kubeflow.trainer.node_selector={"a b"="c"}', "'a b' is no Kubernetes label key"),
        ('kubeflow.trainer.node_selector={pool="not a label"}', "'not a label' is no Kubernetes label value"),
        ('kubeflow.trainer.tolerations=[{key="a", operator="Equal"}]', "needs key and value"),
        ('kubeflow.trainer.tolerations=[{key="a", value="b"}]', "takes no value"),
        ("kubeflow.trainer.shared_memory=1GB", "it should match pattern"),
        ("kubeflow.pipeline_root=/data", "it should match pattern"),
        ("kubeflow.namespace=Kube_Flow", "it should match pattern"),
        ("kubeflow.host=localhost:8888", "it should match pattern"),
        ('kubeflow.secrets=[{variable="A-B", secret="s", key="k"}]', "it should match pattern"),
        ('kubeflow.secrets=[{variable="A",secret="s",key="k"},{variable="A",secret="s",key="l"}]', "more than once"),
        ('kubeflow.secrets=[{variable="A",secret="s",key="k",value="hunter2"}]', "there is no setting"),
        ("kubeflow.component_resources={Trainer={cpu=1}}", "kubeflow.trainer.resources"),
        ("kubeflow.serving_volume.mount_path=/cache", "the same mount_path"),
        ("kubeflow.retry.max_count=11", "less than or equal to 10"),
    ],
)
def test_what_no_cluster_takes_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[override])


def test_volumes_may_be_left_out_and_come_back_from_toml(tmp_path):
    config = load_config(overrides=["kubeflow.data_cache=none", "kubeflow.trainer.gpus=0"])
    file = tmp_path / "config.toml"
    file.write_text(config_toml(config))
    assert load_config(file=file) == config
    assert config.kubeflow.data_cache is None
