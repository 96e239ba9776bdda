-- schema: read_model
-- Lists by two filters: each alone matches many rows, both together few, and a page was found by
-- reading the rows of one index until enough of them met the other. Writing is blocked while they
-- are built, some minutes for ten million rows.
CREATE INDEX notifications_trigger_status
  ON notifications (tenant_id, trigger_id, status, created_at, id);
CREATE INDEX notifications_trigger_channel
  ON notifications (tenant_id, trigger_id, channel, created_at, id);
CREATE INDEX notifications_status_channel
  ON notifications (tenant_id, status, channel, created_at, id);
CREATE INDEX decisions_trigger_outcome
  ON decisions (tenant_id, trigger_id, outcome, decided_at, id);
-- How many dead letters there are of each kind, without looking at one of them.
CREATE INDEX dead_letters_counts ON dead_letters (tenant_id, status, stage, reason, at);
