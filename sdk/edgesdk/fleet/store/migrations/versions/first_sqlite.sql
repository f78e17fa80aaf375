CREATE TABLE alert_rules (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    severity TEXT DEFAULT 'warning' NOT NULL,
    threshold FLOAT,
    clear_threshold FLOAT,
    for_s BIGINT DEFAULT '0' NOT NULL,
    clear_s BIGINT DEFAULT '0' NOT NULL,
    selection JSON,
    settings JSON,
    channels JSON,
    enabled BOOLEAN DEFAULT true NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_alert_rules PRIMARY KEY (id),
    CONSTRAINT uq_alert_rules_name UNIQUE (name)
);

CREATE TABLE audit (
    id INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    action TEXT DEFAULT '' NOT NULL,
    subject TEXT DEFAULT '' NOT NULL,
    outcome TEXT DEFAULT '' NOT NULL,
    detail JSON,
    CONSTRAINT pk_audit PRIMARY KEY (id)
);

CREATE INDEX ix_audit_at_ms ON audit (at_ms);

CREATE INDEX ix_audit_subject ON audit (subject, at_ms);

CREATE TABLE bulk_commands (
    id INTEGER NOT NULL,
    verb TEXT DEFAULT '' NOT NULL,
    arguments JSON,
    selection JSON,
    devices BIGINT DEFAULT '0' NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    CONSTRAINT pk_bulk_commands PRIMARY KEY (id)
);

CREATE TABLE channels (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    settings JSON,
    enabled BOOLEAN DEFAULT true NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_channels PRIMARY KEY (id),
    CONSTRAINT uq_channels_name UNIQUE (name)
);

CREATE TABLE enrolments (
    id INTEGER NOT NULL,
    token_hash TEXT DEFAULT '' NOT NULL,
    prefix TEXT DEFAULT '' NOT NULL,
    tenant TEXT DEFAULT '' NOT NULL,
    node TEXT DEFAULT '' NOT NULL,
    title TEXT DEFAULT '' NOT NULL,
    site TEXT DEFAULT '' NOT NULL,
    target TEXT DEFAULT '' NOT NULL,
    template TEXT DEFAULT '' NOT NULL,
    tags JSON,
    configuration JSON,
    uses_left BIGINT DEFAULT '1' NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT,
    revoked_ms BIGINT,
    CONSTRAINT pk_enrolments PRIMARY KEY (id),
    CONSTRAINT uq_enrolments_token_hash UNIQUE (token_hash)
);

CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    node INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    severity TEXT DEFAULT '' NOT NULL,
    camera TEXT DEFAULT '' NOT NULL,
    message TEXT DEFAULT '' NOT NULL,
    data JSON,
    CONSTRAINT uq_events_stream_seq UNIQUE (stream, seq)
);

CREATE INDEX events_of_node ON events (node, at_ms);

CREATE INDEX events_time ON events (at_ms);

CREATE TABLE gaps (
    stream INTEGER NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    declared_seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    reports TEXT DEFAULT '' NOT NULL,
    from_ms BIGINT,
    to_ms BIGINT,
    CONSTRAINT pk_gaps PRIMARY KEY (stream, first, last, declared_seq)
);

CREATE TABLE jobs (
    name TEXT NOT NULL,
    holder TEXT DEFAULT '' NOT NULL,
    held_until_ms BIGINT,
    cursor BIGINT DEFAULT '0' NOT NULL,
    ran_ms BIGINT,
    took_ms BIGINT DEFAULT '0' NOT NULL,
    problem TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_jobs PRIMARY KEY (name)
);

CREATE TABLE nodes (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    title TEXT DEFAULT '' NOT NULL,
    note TEXT DEFAULT '' NOT NULL,
    site TEXT DEFAULT '' NOT NULL,
    target TEXT DEFAULT '' NOT NULL,
    variant TEXT DEFAULT '' NOT NULL,
    runtime TEXT DEFAULT '' NOT NULL,
    agent_version TEXT DEFAULT '' NOT NULL,
    bundle_name TEXT DEFAULT '' NOT NULL,
    bundle_version TEXT DEFAULT '' NOT NULL,
    bundle_digest TEXT DEFAULT '' NOT NULL,
    hardware JSON,
    cameras JSON,
    capabilities JSON,
    template TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    enrolled_ms BIGINT,
    first_seen_ms BIGINT,
    born_ms BIGINT,
    revoked_ms BIGINT,
    CONSTRAINT pk_nodes PRIMARY KEY (id),
    CONSTRAINT uq_nodes_name UNIQUE (name)
);

CREATE INDEX ix_nodes_bundle ON nodes (bundle_name, bundle_version);

CREATE INDEX ix_nodes_site ON nodes (site);

CREATE INDEX ix_nodes_target ON nodes (target);

CREATE TABLE now (
    node INTEGER NOT NULL,
    said TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    health TEXT DEFAULT '' NOT NULL,
    boot_id TEXT DEFAULT '' NOT NULL,
    session BIGINT DEFAULT '0' NOT NULL,
    step TEXT DEFAULT '' NOT NULL,
    clock_trusted BOOLEAN,
    said_ms BIGINT,
    heard_ms BIGINT,
    sample_ms BIGINT,
    fps BIGINT,
    age_p50_ms BIGINT,
    age_p95_ms BIGINT,
    age_p99_ms BIGINT,
    cpu_percent BIGINT,
    memory_bytes BIGINT,
    temperature_c BIGINT,
    disk_free_bytes BIGINT,
    queued BIGINT,
    clock_offset_ms BIGINT,
    captured BIGINT,
    processed BIGINT,
    dropped BIGINT,
    lost BIGINT,
    latency_ms JSON,
    dropped_by_cause JSON,
    last_result TEXT DEFAULT '' NOT NULL,
    last_result_ms BIGINT,
    last_event TEXT DEFAULT '' NOT NULL,
    last_event_ms BIGINT,
    CONSTRAINT pk_now PRIMARY KEY (node)
);

CREATE TABLE quarantine (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    received_ms BIGINT NOT NULL,
    node TEXT,
    topic TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    size_bytes BIGINT DEFAULT '0' NOT NULL,
    payload BLOB NOT NULL
);

CREATE TABLE records (
    id INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    node INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    camera TEXT,
    labels TEXT,
    body TEXT NOT NULL,
    CONSTRAINT pk_records PRIMARY KEY (id)
);

CREATE INDEX records_of_node ON records (node, at_ms);

CREATE UNIQUE INDEX records_place ON records (stream, seq);

CREATE INDEX records_time ON records (at_ms);

CREATE TABLE sample_hours (
    node INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    n BIGINT NOT NULL,
    fps_n BIGINT,
    fps_sum BIGINT,
    fps_min BIGINT,
    fps_max BIGINT,
    age_p50_ms_n BIGINT,
    age_p50_ms_sum BIGINT,
    age_p95_ms_n BIGINT,
    age_p95_ms_sum BIGINT,
    age_p95_ms_max BIGINT,
    age_p99_ms_n BIGINT,
    age_p99_ms_sum BIGINT,
    age_p99_ms_max BIGINT,
    cpu_percent_n BIGINT,
    cpu_percent_sum BIGINT,
    cpu_percent_max BIGINT,
    memory_bytes_n BIGINT,
    memory_bytes_sum BIGINT,
    memory_bytes_max BIGINT,
    temperature_c_n BIGINT,
    temperature_c_sum BIGINT,
    temperature_c_max BIGINT,
    disk_free_bytes_n BIGINT,
    disk_free_bytes_sum BIGINT,
    disk_free_bytes_min BIGINT,
    queued_n BIGINT,
    queued_sum BIGINT,
    queued_max BIGINT,
    clock_offset_ms_n BIGINT,
    clock_offset_ms_sum BIGINT,
    clock_offset_ms_min BIGINT,
    clock_offset_ms_max BIGINT,
    captured_max BIGINT,
    processed_max BIGINT,
    dropped_max BIGINT,
    lost_max BIGINT,
    latency_ms TEXT,
    dropped_by_cause TEXT,
    CONSTRAINT pk_sample_hours PRIMARY KEY (node, at_ms)
)
 WITHOUT ROWID;

CREATE INDEX sample_hours_time ON sample_hours (at_ms);

CREATE TABLE sample_minutes (
    node INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    n BIGINT NOT NULL,
    fps_n BIGINT,
    fps_sum BIGINT,
    fps_min BIGINT,
    fps_max BIGINT,
    age_p50_ms_n BIGINT,
    age_p50_ms_sum BIGINT,
    age_p95_ms_n BIGINT,
    age_p95_ms_sum BIGINT,
    age_p95_ms_max BIGINT,
    age_p99_ms_n BIGINT,
    age_p99_ms_sum BIGINT,
    age_p99_ms_max BIGINT,
    cpu_percent_n BIGINT,
    cpu_percent_sum BIGINT,
    cpu_percent_max BIGINT,
    memory_bytes_n BIGINT,
    memory_bytes_sum BIGINT,
    memory_bytes_max BIGINT,
    temperature_c_n BIGINT,
    temperature_c_sum BIGINT,
    temperature_c_max BIGINT,
    disk_free_bytes_n BIGINT,
    disk_free_bytes_sum BIGINT,
    disk_free_bytes_min BIGINT,
    queued_n BIGINT,
    queued_sum BIGINT,
    queued_max BIGINT,
    clock_offset_ms_n BIGINT,
    clock_offset_ms_sum BIGINT,
    clock_offset_ms_min BIGINT,
    clock_offset_ms_max BIGINT,
    captured_max BIGINT,
    processed_max BIGINT,
    dropped_max BIGINT,
    lost_max BIGINT,
    latency_ms TEXT,
    dropped_by_cause TEXT,
    CONSTRAINT pk_sample_minutes PRIMARY KEY (node, at_ms)
)
 WITHOUT ROWID;

CREATE INDEX sample_minutes_time ON sample_minutes (at_ms);

CREATE TABLE samples (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    fps BIGINT,
    age_p50_ms BIGINT,
    age_p95_ms BIGINT,
    age_p99_ms BIGINT,
    cpu_percent BIGINT,
    memory_bytes BIGINT,
    temperature_c BIGINT,
    disk_free_bytes BIGINT,
    queued BIGINT,
    clock_offset_ms BIGINT,
    captured BIGINT,
    processed BIGINT,
    dropped BIGINT,
    lost BIGINT,
    latency_ms TEXT,
    dropped_by_cause TEXT
);

CREATE INDEX samples_of_node ON samples (node, at_ms);

CREATE TABLE settings (
    "key" TEXT NOT NULL,
    value JSON,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_settings PRIMARY KEY ("key")
);

CREATE TABLE sites (
    name TEXT NOT NULL,
    title TEXT DEFAULT '' NOT NULL,
    timezone TEXT DEFAULT '' NOT NULL,
    note TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    CONSTRAINT pk_sites PRIMARY KEY (name)
);

CREATE TABLE templates (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    version BIGINT DEFAULT '1' NOT NULL,
    body JSON,
    note TEXT DEFAULT '' NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_templates PRIMARY KEY (id),
    CONSTRAINT uq_templates_name UNIQUE (name)
);

CREATE TABLE users (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    email TEXT DEFAULT '' NOT NULL,
    role TEXT DEFAULT '' NOT NULL,
    password_hash TEXT DEFAULT '' NOT NULL,
    failed_logins BIGINT DEFAULT '0' NOT NULL,
    locked_until_ms BIGINT,
    created_ms BIGINT NOT NULL,
    password_changed_ms BIGINT,
    last_login_ms BIGINT,
    disabled_ms BIGINT,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_name UNIQUE (name)
);

CREATE TABLE alerts (
    id INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    node INTEGER,
    state TEXT DEFAULT '' NOT NULL,
    severity TEXT DEFAULT '' NOT NULL,
    value FLOAT,
    message TEXT DEFAULT '' NOT NULL,
    since_ms BIGINT NOT NULL,
    fired_ms BIGINT,
    calm_ms BIGINT,
    cleared_ms BIGINT,
    acknowledged_ms BIGINT,
    acknowledged_by TEXT DEFAULT '' NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_alerts PRIMARY KEY (id),
    CONSTRAINT fk_alerts_rule FOREIGN KEY(rule) REFERENCES alert_rules (id) ON DELETE CASCADE,
    CONSTRAINT fk_alerts_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE INDEX alerts_of_node ON alerts (node, since_ms);

CREATE UNIQUE INDEX alerts_open ON alerts (rule, node) WHERE cleared_ms IS NULL;

CREATE INDEX alerts_time ON alerts (since_ms);

CREATE TABLE api_tokens (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    token_hash TEXT DEFAULT '' NOT NULL,
    prefix TEXT DEFAULT '' NOT NULL,
    role TEXT DEFAULT '' NOT NULL,
    user INTEGER NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    used_ms BIGINT,
    revoked_ms BIGINT,
    CONSTRAINT pk_api_tokens PRIMARY KEY (id),
    CONSTRAINT uq_api_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_api_tokens_user FOREIGN KEY(user) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE certificates (
    serial TEXT NOT NULL,
    node INTEGER NOT NULL,
    enrolment INTEGER,
    fingerprint TEXT DEFAULT '' NOT NULL,
    pem TEXT DEFAULT '' NOT NULL,
    issued_ms BIGINT NOT NULL,
    not_before_ms BIGINT NOT NULL,
    not_after_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_certificates PRIMARY KEY (serial),
    CONSTRAINT fk_certificates_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE,
    CONSTRAINT fk_certificates_enrolment FOREIGN KEY(enrolment) REFERENCES enrolments (id) ON DELETE CASCADE,
    CONSTRAINT uq_certificates_fingerprint UNIQUE (fingerprint)
);

CREATE INDEX ix_certificates_node ON certificates (node);

CREATE INDEX ix_certificates_not_after_ms ON certificates (not_after_ms);

CREATE TABLE clips (
    id INTEGER NOT NULL,
    node INTEGER NOT NULL,
    clip TEXT DEFAULT '' NOT NULL,
    camera TEXT DEFAULT '' NOT NULL,
    event TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    duration_ms BIGINT DEFAULT '0' NOT NULL,
    content_type TEXT DEFAULT '' NOT NULL,
    size_bytes BIGINT DEFAULT '0' NOT NULL,
    sha256 TEXT DEFAULT '' NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    detail JSON,
    CONSTRAINT pk_clips PRIMARY KEY (id),
    CONSTRAINT uq_clips_node_clip UNIQUE (node, clip),
    CONSTRAINT fk_clips_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE INDEX clips_of_node ON clips (node, at_ms);

CREATE INDEX clips_time ON clips (at_ms);

CREATE TABLE command_replies (
    id INTEGER NOT NULL,
    command TEXT DEFAULT '' NOT NULL,
    node INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    step TEXT DEFAULT '' NOT NULL,
    ok BOOLEAN NOT NULL,
    code TEXT DEFAULT '' NOT NULL,
    message TEXT DEFAULT '' NOT NULL,
    data JSON,
    CONSTRAINT pk_command_replies PRIMARY KEY (id),
    CONSTRAINT fk_command_replies_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE INDEX command_replies_command ON command_replies (command);

CREATE TABLE commands (
    id TEXT NOT NULL,
    node INTEGER NOT NULL,
    bulk INTEGER,
    verb TEXT DEFAULT '' NOT NULL,
    arguments JSON,
    actor TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    created_ms BIGINT NOT NULL,
    deadline_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    finished_ms BIGINT,
    ok BOOLEAN,
    code TEXT DEFAULT '' NOT NULL,
    message TEXT DEFAULT '' NOT NULL,
    data JSON,
    CONSTRAINT pk_commands PRIMARY KEY (id),
    CONSTRAINT fk_commands_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE,
    CONSTRAINT fk_commands_bulk FOREIGN KEY(bulk) REFERENCES bulk_commands (id) ON DELETE CASCADE
);

CREATE INDEX commands_bulk ON commands (bulk);

CREATE INDEX commands_of_node ON commands (node, created_ms);

CREATE INDEX commands_state ON commands (state, created_ms);

CREATE INDEX commands_time ON commands (created_ms);

CREATE TABLE desired (
    node INTEGER NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    state JSON,
    actor TEXT DEFAULT '' NOT NULL,
    updated_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    CONSTRAINT pk_desired PRIMARY KEY (node),
    CONSTRAINT fk_desired_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE TABLE node_tags (
    node INTEGER NOT NULL,
    tag TEXT NOT NULL,
    CONSTRAINT pk_node_tags PRIMARY KEY (node, tag),
    CONSTRAINT fk_node_tags_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE INDEX ix_node_tags_tag ON node_tags (tag, node);

CREATE TABLE presence (
    node INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_presence PRIMARY KEY (node, kind),
    CONSTRAINT fk_presence_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE TABLE reported (
    node INTEGER NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    config_hash TEXT DEFAULT '' NOT NULL,
    step TEXT DEFAULT '' NOT NULL,
    active JSON,
    previous JSON,
    applied JSON,
    refused JSON,
    pending JSON,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    CONSTRAINT pk_reported PRIMARY KEY (node),
    CONSTRAINT fk_reported_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE TABLE sessions (
    token_hash TEXT NOT NULL,
    user INTEGER NOT NULL,
    csrf TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    user_agent TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (token_hash),
    CONSTRAINT fk_sessions_user FOREIGN KEY(user) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_sessions_expires_ms ON sessions (expires_ms);

CREATE INDEX ix_sessions_user ON sessions (user);

CREATE TABLE silences (
    id INTEGER NOT NULL,
    selection JSON,
    rule INTEGER,
    starts_ms BIGINT NOT NULL,
    ends_ms BIGINT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    created_ms BIGINT NOT NULL,
    CONSTRAINT pk_silences PRIMARY KEY (id),
    CONSTRAINT fk_silences_rule FOREIGN KEY(rule) REFERENCES alert_rules (id) ON DELETE CASCADE
);

CREATE TABLE snapshots (
    id INTEGER NOT NULL,
    node INTEGER NOT NULL,
    snapshot TEXT DEFAULT '' NOT NULL,
    camera TEXT DEFAULT '' NOT NULL,
    event TEXT DEFAULT '' NOT NULL,
    at_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    content_type TEXT DEFAULT '' NOT NULL,
    size_bytes BIGINT DEFAULT '0' NOT NULL,
    width BIGINT DEFAULT '0' NOT NULL,
    height BIGINT DEFAULT '0' NOT NULL,
    sha256 TEXT DEFAULT '' NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    detail JSON,
    CONSTRAINT pk_snapshots PRIMARY KEY (id),
    CONSTRAINT uq_snapshots_node_snapshot UNIQUE (node, snapshot),
    CONSTRAINT fk_snapshots_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE INDEX snapshots_of_node ON snapshots (node, at_ms);

CREATE INDEX snapshots_time ON snapshots (at_ms);

CREATE TABLE streams (
    id INTEGER NOT NULL,
    node INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    upto BIGINT DEFAULT '0' NOT NULL,
    ahead TEXT DEFAULT '[]' NOT NULL,
    CONSTRAINT pk_streams PRIMARY KEY (id),
    CONSTRAINT uq_streams_node_epoch UNIQUE (node, epoch),
    CONSTRAINT fk_streams_node FOREIGN KEY(node) REFERENCES nodes (id) ON DELETE CASCADE
);

CREATE TABLE template_overrides (
    template INTEGER NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    body JSON,
    actor TEXT DEFAULT '' NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT pk_template_overrides PRIMARY KEY (template, scope, name),
    CONSTRAINT fk_template_overrides_template FOREIGN KEY(template) REFERENCES templates (id) ON DELETE CASCADE
);

CREATE TABLE notifications (
    id INTEGER NOT NULL,
    alert INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    transition TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    attempts BIGINT DEFAULT '0' NOT NULL,
    created_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    problem TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_notifications PRIMARY KEY (id),
    CONSTRAINT fk_notifications_alert FOREIGN KEY(alert) REFERENCES alerts (id) ON DELETE CASCADE,
    CONSTRAINT fk_notifications_channel FOREIGN KEY(channel) REFERENCES channels (id) ON DELETE CASCADE
);

CREATE INDEX notifications_due ON notifications (state, due_ms);
