-- schema: read_model
-- The read model: what the log says, as tables to query. Written by the projector alone, and made
-- anew from the log at any time (`alertstream projections rebuild` runs the files of this schema
-- into read_model_next and swaps), so names are unqualified. Ids are stored as their text, times as
-- timestamptz, enums as their lower-case words. Every row names the journal batch (partition, seq)
-- that last touched it. Columns named *_sealed hold the serialized Personal message of the log and
-- are decoded only where personal data may be shown; *_masked are made by the projector. Stored for
-- ever: a column's meaning never changes.

-- One row for every event that was decided.
CREATE TABLE events (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  site text COLLATE "C" NOT NULL,
  event_time timestamptz NOT NULL,
  append_time timestamptz NOT NULL,
  decided_at timestamptz NOT NULL,
  verdict text COLLATE "C" NOT NULL,
  candidates int NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  engine_version int NOT NULL,
  gates jsonb NOT NULL,
  duplicate_of text COLLATE "C",
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id, append_time)
) PARTITION BY RANGE (append_time);
CREATE INDEX events_newest ON events (tenant_id, append_time, id);
CREATE INDEX events_type ON events (tenant_id, type, append_time, id);

CREATE TABLE decisions (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  trigger_id text COLLATE "C" NOT NULL,
  trigger_version int NOT NULL,
  recipient text COLLATE "C",
  channel text COLLATE "C" NOT NULL,
  message_class text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  reason text COLLATE "C",
  defer_until timestamptz,
  notification_id text COLLATE "C",
  gates jsonb NOT NULL,
  segments int NOT NULL,
  plan_version bigint NOT NULL,
  decided_at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id, decided_at)
) PARTITION BY RANGE (decided_at);
CREATE INDEX decisions_newest ON decisions (tenant_id, decided_at, id);
CREATE INDEX decisions_event ON decisions (tenant_id, event_id);
CREATE INDEX decisions_trigger ON decisions (tenant_id, trigger_id, decided_at, id);
CREATE INDEX decisions_recipient ON decisions (tenant_id, recipient, decided_at, id);
CREATE INDEX decisions_outcome ON decisions (tenant_id, outcome, decided_at, id);

-- Partitioned by the id, which begins with the time of the event, so that a row is found by its
-- key alone. `kind` is send or confirmation; the latter has neither event nor trigger.
CREATE TABLE notifications (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  event_id text COLLATE "C",
  decision_id text COLLATE "C",
  trigger_id text COLLATE "C",
  trigger_version int,
  recipient text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  message_class text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  sender_id text,
  provider text,
  account text,
  from_number text,
  provider_message_id text,
  error_code text,
  attempts int NOT NULL,
  segments int NOT NULL,
  to_sealed bytea,
  to_masked text NOT NULL,
  body_sealed bytea,
  timeline jsonb NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX notifications_newest ON notifications (tenant_id, created_at, id);
CREATE INDEX notifications_status ON notifications (tenant_id, status, created_at, id);
CREATE INDEX notifications_channel ON notifications (tenant_id, channel, created_at, id);
CREATE INDEX notifications_trigger ON notifications (tenant_id, trigger_id, created_at, id);
CREATE INDEX notifications_event ON notifications (tenant_id, event_id);
CREATE INDEX notifications_recipient ON notifications (tenant_id, recipient, created_at, id);

-- What the dispatcher tried. `result` is one of the nine classes, or cancelled, or expired.
CREATE TABLE attempts (
  tenant_id text COLLATE "C" NOT NULL,
  notification_id text COLLATE "C" NOT NULL,
  attempt int NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  result text COLLATE "C",
  provider text,
  account text,
  provider_message_id text,
  error_code text,
  retry_at timestamptz,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, notification_id, attempt)
) PARTITION BY RANGE (notification_id);

-- A person as far as the tenant has met one. The address is the first that was seen; without one
-- (only the token is known) both forms are NULL. last_seen_at: to the day.
CREATE TABLE recipients (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  token bytea NOT NULL,
  kind text COLLATE "C" NOT NULL,
  address_sealed bytea,
  address_masked text,
  first_seen_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 85);

-- History of consents; what is in force is the newest accepted one of a channel and class. `at` is
-- when the person acted, recorded_at when it was decided. `evidence` holds no personal data; it is
-- {"kind", "disclosure_version"?, "disclosure_sha256"?, "at"?}.
CREATE TABLE consents (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  recipient text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  message_class text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  source text NOT NULL,
  written boolean NOT NULL,
  evidence jsonb,
  detail_sealed bytea,
  actor text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  result text COLLATE "C" NOT NULL,
  reject_reason text COLLATE "C",
  version bigint NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX consents_recipient ON consents (tenant_id, recipient, recorded_at, id);
CREATE INDEX consents_newest ON consents (tenant_id, recorded_at, id);

-- History of opt-outs. id: the place of the fact in the journal, ascending in time. topic and
-- "offset" name the record that caused it: a person's message, an attempt's result, an entry.
CREATE TABLE opt_outs (
  tenant_id text COLLATE "C" NOT NULL,
  id bigint NOT NULL,
  recipient text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  by text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  actor text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  result text COLLATE "C" NOT NULL,
  reject_reason text COLLATE "C",
  version bigint NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX opt_outs_recipient ON opt_outs (tenant_id, recipient, at, id);

-- Every version that was accepted. `definition` is the document of the rules file; the addresses of
-- a fixed list are masked in it and stand whole in recipients_sealed (a TriggerRecipients message).
CREATE TABLE triggers (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  is_current boolean NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  enabled boolean NOT NULL,
  deleted boolean NOT NULL,
  definition jsonb NOT NULL,
  recipients_sealed bytea,
  actor text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id, version)
);
CREATE INDEX triggers_current ON triggers (tenant_id, at, id) WHERE is_current;

CREATE TABLE tenants (
  tenant_id text COLLATE "C" NOT NULL PRIMARY KEY,
  status text COLLATE "C" NOT NULL,
  plan text COLLATE "C" NOT NULL,
  stop_reply text NOT NULL,
  help_reply text NOT NULL,
  unknown_wait_us bigint NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL
);

CREATE TABLE sites (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE plans (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  sends_per_month_max bigint NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE senders (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  provider text NOT NULL,
  account text NOT NULL,
  number text NOT NULL,
  is_default boolean NOT NULL,
  channel text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- Sends of a calendar month (202611, UTC), and what the plan allowed when they were last counted.
CREATE TABLE quota_usage (
  tenant_id text COLLATE "C" NOT NULL,
  month int NOT NULL,
  sends bigint NOT NULL,
  sends_max bigint NOT NULL,
  at timestamptz NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, month)
);

-- topic, partition and "offset" say where the record lies that could not be processed; tenant_id is
-- '' where it is not known. original_sealed: a Personal with a RawRecord.
CREATE TABLE dead_letters (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  append_time timestamptz NOT NULL,
  stage text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  detail text NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  original_sealed bytea,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX dead_letters_newest ON dead_letters (tenant_id, at, id);
CREATE INDEX dead_letters_reason ON dead_letters (tenant_id, reason, at, id);

-- Every accepted or rejected fact with an actor. id: its place in the journal, ascending in time;
-- action: "trigger.change", "consent.change.rejected", ...; subject: the id of what it is about.
CREATE TABLE audit_log (
  tenant_id text COLLATE "C" NOT NULL,
  id bigint NOT NULL,
  at timestamptz NOT NULL,
  actor text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  detail jsonb NOT NULL,
  partition int NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant_id, id, partition)
);
CREATE INDEX audit_log_newest ON audit_log (tenant_id, at, id);
CREATE INDEX audit_log_actor ON audit_log (tenant_id, actor, at, id);

-- How far each partition of the log is projected, written in the transaction of the rows. `inputs`
-- and `outputs` are {topic name: next offset}; log_time is the LogTime of the newest batch.
CREATE TABLE projection_positions (
  partition int NOT NULL PRIMARY KEY,
  log_id bytea NOT NULL,
  seq bigint NOT NULL,
  journal_hash bytea NOT NULL,
  journal_offset bigint NOT NULL,
  inputs jsonb NOT NULL,
  outputs jsonb NOT NULL,
  log_time timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
) WITH (fillfactor = 20);

-- The least id of its kind that a record appended at that time can have: 48 bits of milliseconds in
-- Crockford's base 32, then zeros.
CREATE FUNCTION id_floor(prefix text, at timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ms bigint := greatest(0, floor(extract(epoch FROM at) * 1000))::bigint;
  digits text := '';
BEGIN
  FOR i IN 1..10 LOOP
    digits := substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (ms & 31)::int + 1, 1) || digits;
    ms := ms >> 5;
  END LOOP;
  RETURN prefix || digits || repeat('0', 16);
END $$;

-- Makes the partitions of the month that `at` lies in, where they are missing. `target` names the
-- schema, because a rebuild renames it. A table is filled in only after it is attached; attaching
-- does not stop readers.
CREATE FUNCTION ensure_month(target text, at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  first timestamptz := date_trunc('month', at);
  next timestamptz := date_trunc('month', at) + interval '1 month';
  suffix text := to_char(date_trunc('month', at), '_YYYY_MM');
  base text;
  low text;
  high text;
BEGIN
  IF target NOT IN ('read_model', 'read_model_next') THEN
    RAISE EXCEPTION 'no schema of the read model: %', target;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('alertstream ensure_month'));
  FOREACH base IN ARRAY ARRAY['events', 'decisions', 'notifications', 'attempts'] LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', target, base || suffix)) IS NOT NULL;
    IF base IN ('events', 'decisions') THEN
      low := first::text;
      high := next::text;
    ELSE
      EXECUTE format('SELECT %1$I.id_floor(''ntf_'', $1), %1$I.id_floor(''ntf_'', $2)', target)
        INTO low, high USING first, next;
    END IF;
    EXECUTE format('CREATE TABLE %1$I.%2$I (LIKE %1$I.%3$I INCLUDING DEFAULTS)',
                   target, base || suffix, base);
    EXECUTE format('ALTER TABLE %1$I.%2$I ATTACH PARTITION %1$I.%3$I FOR VALUES FROM (%4$L) TO (%5$L)',
                   target, base, base || suffix, low, high);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION ensure_month(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_month(text, timestamptz) TO alertstream_projector;

-- The API sees the rows of the tenant that its transaction names, and no others; partitions have no
-- grants of their own, so nobody passes by these policies.
DO $$
DECLARE
  name text;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO alertstream_api, alertstream_projector',
                 current_schema());
  FOREACH name IN ARRAY ARRAY['events', 'decisions', 'notifications', 'attempts', 'recipients',
                              'consents', 'opt_outs', 'triggers', 'tenants', 'sites', 'plans',
                              'senders', 'quota_usage', 'dead_letters', 'audit_log'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY of_tenant ON %I FOR SELECT TO alertstream_api '
                   'USING (tenant_id = current_setting(''alertstream.tenant'', true))', name);
    EXECUTE format('CREATE POLICY of_projector ON %I TO alertstream_projector '
                   'USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT ON %I TO alertstream_api', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO alertstream_projector', name);
  END LOOP;
END $$;
GRANT SELECT ON projection_positions TO alertstream_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON projection_positions TO alertstream_projector;
