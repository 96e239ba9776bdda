-- schema: identity
-- Who may do what: tenants' users, their sessions, API keys and their secrets, and whose number is
-- whose. Unlike the read model these tables are the only copy: they are backed up and never made
-- anew. Passwords are Argon2id hashes; tokens and keys are random and stored as their SHA-256;
-- columns named *_sealed hold secrets that have to be read again, AES-256-GCM under the master key
-- (processor/base/sealing.h). Stored for ever: a column's meaning never changes.

-- One row: which master key the sealed columns belong to, so that a wrong one is noticed at the
-- start.
CREATE TABLE deployment (
  only_one bool PRIMARY KEY DEFAULT true CHECK (only_one),
  master_key_check bytea NOT NULL
);

-- A tenant that was made by registering. Plan and status are records on the log.
CREATE TABLE tenants (
  tenant_id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL
);

-- A person, who may work for several tenants.
CREATE TABLE users (
  user_id text COLLATE "C" PRIMARY KEY,            -- usr_...
  email text NOT NULL,                             -- In lower case.
  password_hash text NOT NULL,                     -- PHC.
  status text NOT NULL CHECK (status IN ('active', 'disabled')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  last_login_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (email);

-- `version` is part of an access token: a token with an older one is no longer good.
CREATE TABLE memberships (
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenants,
  user_id text COLLATE "C" NOT NULL REFERENCES users,
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer', 'auditor')),
  version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CREATE INDEX memberships_changed ON memberships (changed_at) WHERE version > 1;

-- A family of refresh tokens: one login. Over when it is revoked, at `expires_at`, or when it was
-- not used until `idle_expires_at`.
CREATE TABLE sessions (
  session_id text COLLATE "C" PRIMARY KEY,         -- ses_...
  tenant_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL REFERENCES users,
  device text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  idle_expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_reason text CHECK (revoked_reason IN ('logout', 'reuse', 'user_disabled'))
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Each token of a family, by its SHA-256. The successor of a token is kept sealed for as long as a
-- lost answer may be asked for again.
CREATE TABLE refresh_tokens (
  token_sha256 bytea PRIMARY KEY,
  session_id text COLLATE "C" NOT NULL REFERENCES sessions ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  used_at timestamptz,
  successor_sealed bytea
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE api_keys (
  tenant_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,                -- key_...
  site_id text COLLATE "C",                        -- NULL: of all of the tenant's.
  kind text NOT NULL CHECK (kind IN ('publishable', 'secret')),
  mode text NOT NULL CHECK (mode IN ('live', 'test')),  -- For people; all work alike.
  name text NOT NULL,
  key_sha256 bytea NOT NULL,
  hint text NOT NULL,                              -- The last four characters.
  origins text[] NOT NULL,
  networks text[] NOT NULL,                        -- CIDR; empty: from anywhere.
  events_per_second double precision,              -- NULL: as the tenant.
  burst int,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  replaced_by text COLLATE "C",
  changed_at timestamptz NOT NULL,                 -- By the trigger below.
  PRIMARY KEY (tenant_id, key_id)
);
CREATE UNIQUE INDEX api_keys_sha256 ON api_keys (key_sha256);
CREATE INDEX api_keys_changed ON api_keys (changed_at);

-- What a secret key's requests are signed with: two live while they are rotated.
CREATE TABLE signing_secrets (
  tenant_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  number int NOT NULL,                             -- 1, 2, ...; the highest is the one in force.
  secret_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,                          -- NULL: not replaced.
  PRIMARY KEY (tenant_id, key_id, number),
  FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys ON DELETE CASCADE
);

-- Apart from api_keys, because it changes all the time and nobody has to be told.
CREATE TABLE api_key_uses (
  tenant_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  last_used_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key_id)
);

-- What a website is called by people. That it exists, and whether it is active, is on the log.
CREATE TABLE websites (
  tenant_id text COLLATE "C" NOT NULL,
  site_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  url text NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, site_id)
);

-- Whose a number (or sender id) of a provider account is: one tenant's in the whole deployment.
CREATE TABLE number_claims (
  tenant_id text COLLATE "C" NOT NULL,
  provider text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  number text COLLATE "C" NOT NULL,
  claimed_at timestamptz NOT NULL,
  claimed_by text NOT NULL,
  PRIMARY KEY (tenant_id, provider, account, number)
);
CREATE UNIQUE INDEX number_claims_number ON number_claims (provider, account, number);

-- Credentials of accounts at providers, which are the deployment's.
CREATE TABLE provider_accounts (
  provider text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  credentials_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (provider, account)
);

-- Failed logins by what they were tried against: SHA-256 of an e-mail address or of the client's
-- address. Rows of the past are deleted.
CREATE TABLE login_failures (
  subject_sha256 bytea PRIMARY KEY,
  failures int NOT NULL,
  last_at timestamptz NOT NULL,
  blocked_until timestamptz
);
CREATE INDEX login_failures_last ON login_failures (last_at);

-- Records that follow from rows above and have to reach the log: written in the same transaction,
-- appended afterwards, as often as it takes. What they ask for may be asked for twice.
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  actor text NOT NULL,
  request jsonb NOT NULL,                          -- As the control endpoint takes it.
  created_at timestamptz NOT NULL,
  done_at timestamptz
);
CREATE INDEX outbox_open ON outbox (id) WHERE done_at IS NULL;

-- What was done to the tables above and has no record on the log. Only ever added to.
CREATE TABLE audit_events (
  tenant_id text COLLATE "C" NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  detail jsonb NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_events_newest ON audit_events (tenant_id, at, id);

CREATE FUNCTION note_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER note_change BEFORE INSERT OR UPDATE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER note_change BEFORE INSERT OR UPDATE ON memberships
  FOR EACH ROW EXECUTE FUNCTION note_change();

-- Tells the mirrors in the servers' memory to look.
CREATE FUNCTION tell_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('alertstream_identity', TG_TABLE_NAME);
  RETURN NULL;
END $$;
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE ON api_keys
  FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER UPDATE ON memberships
  FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER UPDATE OF revoked_at ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE ON number_claims
  FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

GRANT USAGE ON SCHEMA identity TO alertstream_identity, alertstream_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON
  deployment, tenants, users, memberships, sessions, refresh_tokens, api_keys, signing_secrets,
  api_key_uses, websites, number_claims, provider_accounts, login_failures, outbox
  TO alertstream_identity;
GRANT SELECT, INSERT ON audit_events TO alertstream_identity;

-- The API's role sees no more of this schema than a tenant's own audit events and websites.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['audit_events', 'websites'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY of_tenant ON %I FOR SELECT TO alertstream_api '
                   'USING (tenant_id = current_setting(''alertstream.tenant'', true))', name);
    EXECUTE format('CREATE POLICY of_identity ON %I TO alertstream_identity '
                   'USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT ON %I TO alertstream_api', name);
  END LOOP;
END $$;
