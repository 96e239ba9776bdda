-- schema: read_model
-- What operators did about dead letters. A letter that nobody acted on is open. A letter of a
-- program before this one is shown as open until it is acted on, which is what it is.
ALTER TABLE dead_letters
  ADD COLUMN status text COLLATE "C" NOT NULL DEFAULT 'open',
  ADD COLUMN retries int NOT NULL DEFAULT 0,
  ADD COLUMN acted_at timestamptz,
  ADD COLUMN acted_by text COLLATE "C",
  ADD COLUMN acted_reason text,
  ADD COLUMN died_as text COLLATE "C",    -- dlq_... of its retry.
  ADD COLUMN retry_of text COLLATE "C";   -- dlq_... whose retry it is.
CREATE INDEX dead_letters_status ON dead_letters (tenant_id, status, at, id);
CREATE INDEX dead_letters_stage ON dead_letters (tenant_id, stage, at, id);
CREATE INDEX dead_letters_type ON dead_letters (tenant_id, event_type, at, id);
