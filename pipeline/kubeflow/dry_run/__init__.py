"""Executes a compiled package on this machine, as the driver and the launcher of Kubeflow Pipelines would in a cluster.

It plays release 2.16.1 as it is installed by default (https://github.com/kubeflow/pipelines/tree/2.16.1/backend/src/v2).
What a component is given is the same in 2.17.0, where a download takes no artifact whose name only begins alike. Which
pods are started again is up to the installation; here it is as in that of 2.17.0: those that were lost, as when
somebody kills their process, but none that failed.

specification   what is asked of it; both documents of the package, parsed as strictly as the server does
runner          one run: its checks, the tasks in order, the record, retries
driver          what a task gets: its `ExecutorInput`; what makes two executions of a task the same
metadata        executions and artifacts, as the server records them
launcher        one execution: download, run, check what came out, upload
artifacts       artifacts under URIs, and the volumes of a pod, on this machine
pod             the process that stands for a pod: its environment and end
docker          the other way: the real images, under `kfp.local`
"""
