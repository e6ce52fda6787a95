"""Jobs on several machines: which Ray cluster, and how much of it."""

from __future__ import annotations

from pydantic import Field

from connector.settings.section import Section


class RaySettings(Section):
    """Jobs on the processes of a Ray cluster, which read, encode and write side by side."""

    address: str | None = Field(
        None, description="the Ray cluster that a job runs on: its address, auto, or local; not given: in this process"
    )
    encoders: int = Field(0, ge=0, description="processes that encode; 0: one for each processor, but one")
    encoder_cpus: float = Field(1.0, gt=0, description="processors of each of them")
    encoder_gpus: float = Field(0.0, ge=0, description="GPUs of each of them; 0.5: two share one")
    shards: int = Field(0, ge=0, description="parts that a source is cut into; 0: four for each process that encodes")
    wait_s: float = Field(
        120.0, gt=0, description="how long a job that gets no further for want of nodes waits for some"
    )
    object_store_bytes: int = Field(
        300_000_000, ge=80_000_000, description="local: shared memory for what is on its way between processes"
    )
