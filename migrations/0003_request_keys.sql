-- schema: identity
-- Answers of requests that carried an Idempotency-Key, for 24 hours: a repetition gets the first
-- answer. An answer holds no personal data; the key is kept as its SHA-256.
CREATE TABLE request_keys (
  tenant_id text COLLATE "C" NOT NULL,
  route text COLLATE "C" NOT NULL,       -- "POST /api/v1/consents"
  key_sha256 bytea NOT NULL,
  fingerprint bytea NOT NULL,            -- SHA-256 of route, tenant and body.
  claim bytea NOT NULL,                  -- Random: of whoever works on the request.
  claimed_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  status int,                            -- NULL: no answer yet.
  headers jsonb,                         -- {name: value}
  body text,
  PRIMARY KEY (tenant_id, route, key_sha256)
);
CREATE INDEX request_keys_expiry ON request_keys (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON request_keys TO alertstream_identity;
