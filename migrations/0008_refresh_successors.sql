-- schema: identity
-- A refresh forgets what the used tokens of its session sealed: few of many rows.
CREATE INDEX refresh_tokens_sealed ON refresh_tokens (session_id) WHERE successor_sealed IS NOT NULL;
