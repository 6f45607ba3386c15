from millrace.kafka.clients import admin_config, consumer_config, producer_config, reader_config


def test_credentials_switch_sasl_over_tls_on(make_settings, tmp_path):
    plain = make_settings(tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP="one:1,two:2")
    secured = make_settings(
        tmp_path, MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP="one:1,two:2", API_KEY="name", API_SECRET="word"
    )
    assert "security.protocol" not in admin_config(plain)
    for config in (admin_config(secured), producer_config(secured), consumer_config(secured, group="g")):
        assert config["bootstrap.servers"] == "one:1,two:2"
        assert config["security.protocol"] == "SASL_SSL"
        assert (config["sasl.mechanisms"], config["sasl.username"], config["sasl.password"]) == (
            "PLAIN",
            "name",
            "word",
        )


def test_a_producer_is_idempotent_and_waits_for_all_replicas(make_settings, tmp_path):
    config = producer_config(make_settings(tmp_path), transactional_id="t")
    assert (config["enable.idempotence"], config["acks"], config["transactional.id"]) == (True, "all", "t")


def test_no_consumer_commits_by_itself(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    for config in (consumer_config(settings, group="g"), reader_config(settings)):
        assert config["enable.auto.commit"] is False
        assert config["enable.auto.offset.store"] is False
    assert consumer_config(settings, group="g")["auto.offset.reset"] == "earliest"
    assert reader_config(settings)["auto.offset.reset"] == "error"
