"""The settings of Kafka as a source."""

from __future__ import annotations

from pydantic import Field

from connector.settings.secrets import Password
from connector.settings.section import Section


class KafkaSettings(Section):
    """Kafka as a source: how the topic at kafka://HOST:PORT/TOPIC is read."""

    group: str | None = Field(
        None, description="the consumer group, which remembers how far was read; connector-INDEX when not given"
    )
    username: str | None = Field(None, description="with a password: SASL, by PLAIN where options name no mechanism")
    password: Password | None = Field(None, description="the password of username")
    options: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="properties of librdkafka: {security.protocol: SASL_SSL, ssl.ca.location: /ca.pem}",
    )
