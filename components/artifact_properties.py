"""The custom properties of the artifacts: what one component writes on its output, and another, or the record, reads.

This module imports nothing, so that whoever reads a property depends on its name alone, not on the code of the
component that writes it: that code would count in the digest by which TFX's cache tells whether to run again.
"""

# Of `Examples`, by TfdsExampleGen, and repeated by SegmentationValidator; `ModelEvaluation` has the first four.
DATASET_NAME = "dataset_name"
DATASET_VERSION = "dataset_version"
SPLIT_COUNTS = "split_counts"
"""JSON: split to its number of examples."""

SPLIT_DIGESTS = "split_digests"
"""JSON: split to a digest of what was read."""

REFERENCE_DATASET = "reference_dataset"
"""Data set, version and slice of the split `reference`; absent where there is none. `SegmentationFindings` and
`ModelEvaluation` have it, too."""

DATE_RANGES = "date_ranges"
"""JSON: split to the first and the last day of its examples, in days since 1970-01-01; none of data without dates."""

# Of `ModelEvaluation`, by ModelEvaluator alone.
EVALUATED_SPLITS = "evaluated_splits"
"""JSON: the splits that it is of."""

# Of `Examples`, by SegmentationValidator alone.
CLASS_PIXELS = "class_pixels"
"""JSON: split to the pixels of each class."""

NOT_LABELLED_PIXELS = "not_labelled_pixels"
"""JSON: split to the pixels that are of no class."""

SHARED_IMAGES = "shared_images"
"""JSON: a list of two splits and how many images of the first are in the second."""

# Of `SegmentationFindings`.
FINDING_COUNTS = "finding_counts"
"""JSON: kind of finding to its number."""

DROPPED_EXAMPLES = "dropped"
"""Number of examples that are left out."""

# Of the `ExampleAnomalies` of SuspectFinder.
SUSPECTS = "suspects"
"""How many masks the model contradicts."""

EXAMINED_EXAMPLES = "examined"
"""Of how many."""

# Of the `Model` of ServedModelResolver.
BASELINE_FOUND = "found"
"""1 or 0."""

BASELINE_VERSION = "version"
BASELINE_PATH = "path"
BASELINE_REASON = "reason"
"""Why the served model is not compared with; empty where it is."""

BASELINE_INCOMPARABLE = "incomparable"
"""1 where a model is served that cannot be compared with; 0 where none is, and where the comparison was not wanted."""

# Of `ModelBlessing` and `InfraBlessing`.
BLESSED = "blessed"
"""1 or 0; TFX's."""

FORCED_BECAUSE = "forced_because"
"""Why the model is blessed although a bound does not hold."""

# Of the artifact of RetrainingDecider.
TRAINS = "trains"
"""1 or 0."""

DECISION = "decision"
"""JSON: the whole `components.retraining_decider.decision.Decision`."""

# Of `PushedModel`.
PUSHED = "pushed"
"""1 or 0; TFX's."""

PUSHED_DESTINATION = "pushed_destination"
"""Directory of the pushed version; TFX's."""

NOT_PUSHED_BECAUSE = "not_pushed_because"
ALREADY_SERVED = "already_served"
"""The version that made a push needless."""

# Of the artifact of KServeDeployer.
DEPLOYED = "deployed"
"""1 or 0."""

DEPLOYMENT_SUMMARY = "summary"
DEPLOYED_VERSION = "version"
DEPLOYED_STORAGE_URI = "storage_uri"
DEPLOYED_URL = "url"
DEPLOYED_AS_CANARY = "is_canary"
"""1 or 0: whether it has a part of the traffic, beside the version that was served before."""

CANARY_ENDING = "canary"
"""What became of a canary that was watched: `promoted`, `rolled back`, `undecided` or `gone`; absent where none was."""

# Of RunReport's `system.Metrics`, beside the names of metrics, and `DATASET_NAME`, `DATASET_VERSION`, `BLESSED`.
COMPARED_WITH_SERVED = "compared_with_served"
"""How the model stands to the served one, in words; absent where it need not be better."""

VERDICT = "verdict"
"""What came of the run, in words: `not blessed: accuracy 0.7123 < 0.8`."""

EVALUATED_EXAMPLES = "evaluated_examples"
REFERENCE_METRICS = ("reference_accuracy", "reference_mean_iou")
"""Of the frozen reference set; absent where there is none."""

PUSHED_MODEL = "pushed_model"
"""Directory of the pushed version; absent where nothing was pushed."""

# Of its `system.ClassificationMetrics`.
CONFUSION_MATRIX = "confusionMatrix"
"""A struct: `annotationSpecs` with the names of the classes, and `rows`; Kubeflow's."""

# Of its `system.HTML`.
NOT_WRITTEN_BECAUSE = "not_written_because"

# Of the first output of a component on Kubeflow, and of RunReport's `system.HTML`, by what runs it in the pod.
FINDINGS = "findings"
"""JSON: what is worth knowing of all its outputs; absent where it would be long. RunReport's is of all components."""
