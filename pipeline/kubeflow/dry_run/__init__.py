"""Executes a compiled package on this machine, as the driver and the launcher of Kubeflow Pipelines would in a cluster.

It plays release 2.16.1 as it is installed by default (https://github.com/kubeflow/pipelines/tree/2.16.1/backend/src/v2).
What a component is given is the same in 2.17.0, which differs in two things: a download takes no artifact whose name
only begins alike, and its own installation starts a task again that lost its pod, but not one that failed.

request         what is asked of it, and the record it starts with
package_run     what every run of a package has: its checks, its record
runner          one run: the tasks in order, the record, retries
specification   both documents of the package, parsed as strictly as the server does
arguments       the values of the runtime parameters
driver          what a task gets: its `ExecutorInput`
cache_key       what makes two executions of a task the same
metadata        artifacts and executions, in a store of ML Metadata
launcher        one execution: download, run, check what came out, upload
object_store    artifacts under URIs
pod             the process that stands for a pod: its directory, environment and end
pod_end         what the end of a pod means
mounts          the paths of a pod's volumes on this machine
stored_artifact what the record of a run reads from an artifact
docker          the other way: the real images, under `kfp.local`
"""
