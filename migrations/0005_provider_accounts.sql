-- schema: identity
-- Provider accounts of tenants and of the deployment, and what a key may do. Until here nothing
-- wrote provider_accounts.

-- What `credentials_sealed` holds (AES-256-GCM, context provider_accounts/<account_id>): JSON
-- {"auth_tokens":["newest","before"],"api_key_secret":"..."}.
ALTER TABLE provider_accounts
  ADD COLUMN account_id text COLLATE "C" NOT NULL UNIQUE,  -- pa_...
  ADD COLUMN tenant_id text COLLATE "C",                   -- NULL: the deployment's, for all.
  ADD COLUMN account_sid text NOT NULL,                    -- The provider's name of it.
  ADD COLUMN api_key_sid text NOT NULL,                    -- '': signs in as the account.
  ADD COLUMN base_url text NOT NULL,
  ADD COLUMN public_url text NOT NULL,
  ADD COLUMN sends_per_second double precision NOT NULL,
  ADD COLUMN burst int NOT NULL,
  ADD COLUMN previous_until timestamptz,                   -- So long the token before is good.
  ADD COLUMN created_by text NOT NULL;
CREATE INDEX provider_accounts_tenant ON provider_accounts (tenant_id);

-- By which a claim is named where the number may not stand: in paths and audit events.
ALTER TABLE number_claims
  ADD COLUMN number_id text COLLATE "C" NOT NULL UNIQUE
    DEFAULT ('num_' || replace(gen_random_uuid()::text, '-', ''));
-- A telephone number is one tenant's, whatever account it is reached through. Sender ids and
-- messaging services are names within an account.
CREATE UNIQUE INDEX number_claims_phone ON number_claims (provider, number) WHERE number LIKE '+%';

-- Raised by every change of the two tables, in its transaction: who has read the rows of a version
-- need not read them again.
CREATE TABLE account_version (
  only_one bool PRIMARY KEY DEFAULT true CHECK (only_one),
  version bigint NOT NULL
);
INSERT INTO account_version (version) VALUES (1);
GRANT SELECT, UPDATE ON account_version TO alertstream_identity;

CREATE FUNCTION count_account_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE identity.account_version SET version = version + 1;
  PERFORM pg_notify('alertstream_identity', TG_TABLE_NAME);
  RETURN NULL;
END $$;
CREATE TRIGGER count_account_change AFTER INSERT OR UPDATE OR DELETE ON provider_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION count_account_change();
CREATE TRIGGER count_account_change AFTER INSERT OR UPDATE OR DELETE ON number_claims
  FOR EACH STATEMENT EXECUTE FUNCTION count_account_change();

-- What a key may do: NULL is what its kind always could (publishable: ingest; secret: all three).
ALTER TABLE api_keys
  ADD COLUMN scopes text[]
    CHECK (scopes <@ ARRAY['ingest', 'read', 'manage'] AND cardinality(scopes) > 0);
