"""Every setting: its environment variable, its default and one sentence.

Values are read once, by `load()`, and passed on; nothing else reads the environment.
"""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from millrace.contracts.errors import BadInput
from millrace.contracts.stages import BIAS_POLICIES, Executor, Policy
from millrace.contracts.topics import Topics

GIB = 1 << 30
Port = int


class Settings(BaseSettings):
    """The platform's settings. `millrace doctor` shows where each part is and what is wrong with it."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", validate_default=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Source,
        env_settings: Source,
        dotenv_settings: Source,
        file_secret_settings: Source,
    ) -> tuple[Source, ...]:
        """What is given, then the environment: looking at files that we do not have takes as long as both."""
        return init_settings, env_settings

    home: Path = Field(Path(".millrace"), alias="MILLRACE_HOME")
    """Folder that holds all state of the platform on this machine."""
    cache: Path | None = Field(None, alias="MILLRACE_CACHE")
    """Folder for the broker's jars, shared between homes (default: `millrace` in the user's cache folder)."""
    mode: Literal["LOCAL_SIM", "KAFKA"] = Field("LOCAL_SIM", alias="MILLRACE_MODE")
    """LOCAL_SIM starts our own broker; KAFKA uses the cluster that KAFKA_BOOTSTRAP names."""
    user: str = Field("local", alias="MILLRACE_USER")
    """User that the command line acts for when --user is not given."""

    database_url: str | None = Field(None, alias="MILLRACE_DATABASE_URL")
    """SQLAlchemy URL of the warehouse (default: SQLite under MILLRACE_HOME)."""
    dagster_database_url: str | None = Field(
        None, alias="MILLRACE_DAGSTER_DATABASE_URL", pattern=r"^postgresql(\+\w+)?://"
    )
    """URL of a PostgreSQL database for Dagster's storage (default: SQLite under MILLRACE_HOME)."""
    artifacts_url: str | None = Field(None, alias="MILLRACE_ARTIFACTS_URL")
    """fsspec URL of the artifact store (default: folder under MILLRACE_HOME)."""
    mlflow_url: str | None = Field(None, alias="MLFLOW_TRACKING_URI")
    """MLflow server (default: the one that `millrace up` starts)."""

    kafka_bootstrap: str | None = Field(
        None, validation_alias=AliasChoices("KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS")
    )
    """Kafka brokers, host:port separated by commas; the first of the three names that is set wins."""
    kafka_api_key: SecretStr | None = Field(None, alias="API_KEY")
    """SASL user name in KAFKA mode; with API_SECRET it switches SASL_SSL with PLAIN on."""
    kafka_api_secret: SecretStr | None = Field(None, alias="API_SECRET")
    """SASL password in KAFKA mode."""
    kafka_ca: Path | None = Field(None, alias="MILLRACE_KAFKA_CA")
    """File with the certificates, in PEM, of the authorities that sign the brokers' (default: the system's)."""
    kafka_heap: str = Field("512m", alias="MILLRACE_KAFKA_HEAP")
    """Largest heap of our own broker, in Java's notation."""
    partitions: int = Field(4, alias="MILLRACE_TOPIC_PARTITIONS", ge=1, le=256)
    """Partitions of a topic that we create."""
    retention_hours: int = Field(168, alias="MILLRACE_TOPIC_RETENTION_HOURS", ge=1)
    """Retention of a topic that we create, in hours."""
    dataset_topic: str = Field(Topics.dataset, alias="KAFKA_DATASET_TOPIC")
    """Topic of stored data sets."""
    bias_topic: str = Field(Topics.bias, alias="KAFKA_BIAS_TOPIC")
    """Topic of saved bias reports."""
    automl_topic: str = Field(Topics.automl, alias="KAFKA_AUTOML_TOPIC")
    """Topic of saved models."""
    xai_topic: str = Field(Topics.xai, alias="KAFKA_XAI_TOPIC")
    """Topic of saved explanation reports."""
    stage_topic: str = Field(Topics.stage, alias="KAFKA_STAGE_TOPIC")
    """Topic of started, failed and cancelled stages."""
    bias_trigger_topic: str = Field(Topics.bias_trigger, alias="KAFKA_BIAS_TRIGGER_TOPIC")
    """Topic that starts bias reports."""
    automl_trigger_topic: str = Field(Topics.automl_trigger, alias="KAFKA_AUTOML_TRIGGER_TOPIC")
    """Topic that starts training."""
    xai_trigger_topic: str = Field(Topics.xai_trigger, alias="KAFKA_XAI_TRIGGER_TOPIC")
    """Topic that starts explanations."""

    events_topic: str = Field(Topics.events_raw, alias="MILLRACE_EVENTS_TOPIC")
    """Topic of the events whose text is scored."""
    scored_topic: str = Field(Topics.events_scored, alias="MILLRACE_SCORED_TOPIC")
    """Topic of the scored events."""
    scoring_model: str = Field("auto", alias="MILLRACE_SCORING_MODEL")
    """Model that scoring begins with: hub id, folder, vader, or auto (DistilBERT if its files are here, else vader)."""
    stream_prefix: str = Field("millrace", alias="MILLRACE_STREAM_PREFIX", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """First part of streams' consumer groups and transactional ids; of each platform on a cluster its own."""
    stream_guarantee: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once", alias="MILLRACE_STREAM_GUARANTEE"
    )
    """Whether a stream's outputs and offsets are one transaction, or outputs are sent first and may come twice."""
    stream_interval_ms: int = Field(100, alias="MILLRACE_STREAM_INTERVAL_MS", ge=1, le=5000)
    """Longest time in milliseconds that a stream gathers records for one transaction; readers see outputs after it."""
    stream_checkpoint_seconds: float = Field(30.0, alias="MILLRACE_STREAM_CHECKPOINT_SECONDS", ge=1, le=3600)
    """Seconds between two observations that a running stream leaves in Dagster."""
    stream_hours: float = Field(6.0, alias="MILLRACE_STREAM_HOURS", gt=0, le=168)
    """Hours after which a stream's process is replaced by a new one, which loads the code anew."""

    host: str = Field("127.0.0.1", alias="MILLRACE_HOST")
    """Address that the API binds to; any but loopback needs MILLRACE_API_TOKENS."""
    api_port: Port = Field(8000, alias="MILLRACE_API_PORT", ge=1, le=65535)
    """Port of the API and its pages."""
    kafka_port: Port = Field(9092, alias="MILLRACE_KAFKA_PORT", ge=1, le=65535)
    """Port of our own broker."""
    kafka_controller_port: Port = Field(9093, alias="MILLRACE_KAFKA_CONTROLLER_PORT", ge=1, le=65535)
    """Port of our own broker's controller."""
    dagster_port: Port = Field(3000, alias="MILLRACE_DAGSTER_PORT", ge=1, le=65535)
    """Port of Dagster's web pages."""
    code_server_port: Port = Field(4266, alias="MILLRACE_CODE_SERVER_PORT", ge=1, le=65535)
    """Port of Dagster's code server."""
    mlflow_port: Port = Field(5000, alias="MILLRACE_MLFLOW_PORT", ge=1, le=65535)
    """Port of the MLflow server."""
    conductor_port: Port = Field(9108, alias="MILLRACE_CONDUCTOR_PORT", ge=1, le=65535)
    """Port of the conductor's health and metrics."""

    llm_host: str = Field("127.0.0.1", alias="MILLRACE_LLM_HOST")
    """Address that the document processor's health and metrics bind to; they have no users and no secrets."""
    llm_port: Port = Field(9111, alias="MILLRACE_LLM_PORT", ge=1, le=65535)
    """Port of the document processor's health and metrics; further processes of the group take the ports after it."""

    llm_input_topic: str = Field(Topics.documents, alias="INPUT_TOPIC")
    """Topic of the documents that a language model reads."""
    llm_output_topic: str = Field(Topics.llm_results, alias="OUTPUT_TOPIC")
    """Topic of the language model's results."""
    llm_url: str = Field("http://localhost:8000", alias="LLM_URL", pattern=r"^https?://[^\s/@]+")
    """Server with OpenAI's chat completions (vLLM, transformers serve, …), with or without /v1."""
    llm_model: str = Field("mistralai/Mistral-7B-Instruct-v0.2", alias="MODEL_NAME", min_length=1)
    """Model that the server is asked for."""
    llm_timeout: float = Field(30.0, alias="LLM_TIMEOUT", gt=0, le=3_600)
    """Seconds that one request to the language model may take in all."""
    llm_api_key: SecretStr | None = Field(None, alias="LLM_API_KEY")
    """Bearer token for the language model's server, where it wants one."""
    llm_concurrency: int = Field(8, alias="MILLRACE_LLM_CONCURRENCY", ge=1, le=1_024)
    """Requests to the language model that one process has under way at once."""
    llm_context: int = Field(8_192, alias="MILLRACE_LLM_CONTEXT", ge=1_026)
    """Tokens that the model reads and writes at most in one request; longer documents are read in parts."""
    llm_max_tokens: int = Field(512, alias="MILLRACE_LLM_MAX_TOKENS", ge=1)
    """Tokens of an answer at most."""
    llm_guided: bool = Field(True, alias="MILLRACE_LLM_GUIDED")
    """Whether the server is asked to hold the answer to its JSON schema; false for servers that cannot."""
    llm_attempts: int = Field(4, alias="MILLRACE_LLM_ATTEMPTS", ge=1, le=100)
    """Failures of one document at a server that answers others, after which it is a dead letter."""

    llm_anchor: Path | None = Field(None, alias="MILLRACE_LLM_ANCHOR")
    """File that holds the head of the language model's audit trail (default: in a folder of MILLRACE_HOME)."""

    warm_runs: bool = Field(True, alias="MILLRACE_WARM_RUNS")
    """Whether runs are forked from a preloaded process; false gives each a new process, as Dagster does by itself."""

    api_tokens: SecretStr | None = Field(None, alias="MILLRACE_API_TOKENS")
    """Bearer tokens as user=SHA-256 pairs separated by commas; the hash is that of the token's bytes."""
    api_token: SecretStr | None = Field(None, alias="MILLRACE_API_TOKEN")
    """Bearer token that the command line sends; needed where MILLRACE_API_TOKENS is set."""
    max_upload_bytes: int = Field(2 * GIB, alias="MILLRACE_MAX_UPLOAD_BYTES", ge=1)
    """Largest upload in bytes, as it arrives."""
    max_decompressed_bytes: int = Field(8 * GIB, alias="MILLRACE_MAX_DECOMPRESSED_BYTES", ge=1)
    """Largest size in bytes that a gzip upload may unpack to."""
    max_columns: int = Field(4096, alias="MILLRACE_MAX_COLUMNS", ge=2)
    """Largest number of columns of a data set."""

    policy: Policy = Field("ask", alias="MILLRACE_POLICY")
    """Policy of users who set none: ask a person, or autopilot."""
    time_budget: int = Field(60, alias="MILLRACE_TIME_BUDGET", ge=1, le=86_400)
    """AutoML time budget in seconds for pipelines that set none."""
    stage_retries: int = Field(2, alias="MILLRACE_STAGE_RETRIES", ge=0, le=20)
    """Times that a stage is tried again after a transient failure."""
    bias_policy: str = Field(BIAS_POLICIES[0], alias="MILLRACE_BIAS_POLICY", min_length=1)
    """Bias policy of pipelines that name none: four-fifths, nyc-ll144, strict, or a YAML file."""
    bias_executor: Executor = Field("dagster", alias="MILLRACE_BIAS_EXECUTOR")
    """Who measures bias: Dagster, or an outside worker through REST."""
    automl_executor: Executor = Field("dagster", alias="MILLRACE_AUTOML_EXECUTOR")
    """Who trains: Dagster, or an outside worker through REST."""
    xai_executor: Executor = Field("dagster", alias="MILLRACE_XAI_EXECUTOR")
    """Who explains: Dagster, or an outside worker through REST."""
    code_version: str | None = Field(None, alias="MILLRACE_CODE_VERSION")
    """Version of the code recorded with every materialisation (default: the package's version)."""

    @field_validator("home", "cache", "llm_anchor")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("dagster_database_url")
    @classmethod
    def _driver(cls, value: str | None) -> str | None:
        # Dagster is written for psycopg2: the others refuse its NOTIFY
        return None if value is None else re.sub(r"^postgresql(\+\w+)?://", "postgresql+psycopg2://", value)

    @field_validator("bias_policy")
    @classmethod
    def _policy(cls, value: str) -> str:
        if value in BIAS_POLICIES:
            return value
        path = Path(value).expanduser().absolute()
        if not path.is_file():
            raise ValueError(f"is neither one of {', '.join(BIAS_POLICIES)} nor a file")
        return str(path)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode == "KAFKA" and self.kafka_bootstrap is None:
            raise ValueError("MILLRACE_MODE=KAFKA needs KAFKA_BOOTSTRAP")
        if (self.kafka_api_key is None) != (self.kafka_api_secret is None):
            raise ValueError("API_KEY and API_SECRET go together")
        if self.llm_context < 2 * self.llm_max_tokens + 1_024:
            raise ValueError("MILLRACE_LLM_CONTEXT needs twice MILLRACE_LLM_MAX_TOKENS and 1024 tokens for a document")
        return self

    @property
    def topics(self) -> Topics:
        """Topic names as set."""
        return Topics(
            dataset=self.dataset_topic,
            bias=self.bias_topic,
            automl=self.automl_topic,
            xai=self.xai_topic,
            stage=self.stage_topic,
            bias_trigger=self.bias_trigger_topic,
            automl_trigger=self.automl_trigger_topic,
            xai_trigger=self.xai_trigger_topic,
            documents=self.llm_input_topic,
            llm_results=self.llm_output_topic,
            events_raw=self.events_topic,
            events_scored=self.scored_topic,
        )

    @property
    def bootstrap(self) -> str:
        """Kafka brokers in use: our own in LOCAL_SIM, whatever the environment names in KAFKA mode."""
        if self.mode == "KAFKA" and self.kafka_bootstrap is not None:
            return self.kafka_bootstrap
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the warehouse in use."""
        return self.database_url or f"sqlite:///{self.home / 'warehouse.db'}"

    @property
    def artifacts(self) -> str:
        """fsspec URL of the artifact store in use."""
        return self.artifacts_url or (self.home / "artifacts").as_uri()

    @property
    def mlflow(self) -> str:
        """URL of the MLflow server in use."""
        return self.mlflow_url or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def api_url(self) -> str:
        """URL at which this machine reaches the API."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.api_port}"

    @property
    def dagster_url(self) -> str:
        """URL of Dagster's web pages and GraphQL."""
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.home / "dagster"

    @property
    def logs(self) -> Path:
        """Folder with one log per process."""
        return self.home / "logs"


def load() -> Settings:
    """The settings of this process's environment.

    Raises:
        BadInput: a variable that does not hold what it must; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise BadInput(
            f"setting {name}: {first['msg']}", field=name, remedy="see `millrace env --settings` for every setting"
        ) from error
