-- schema: read_model
-- The dead letters that retries of one left: who purges one purges the bytes of all. Few letters are a
-- retry's.
CREATE INDEX dead_letters_retry_of ON dead_letters (tenant_id, retry_of)
  WHERE retry_of IS NOT NULL;
