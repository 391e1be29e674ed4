// Why: what lies in PostgreSQL, and how an older database becomes a newer one. A migration that was released is never
// edited, and never takes away what the release before it uses: two adjacent versions share one database while a fleet is
// rolled, so a function that changes its meaning gets a new number in its name.
// Locks are taken in one order everywhere (streams by tenant and recipient, then what belongs to them): no deadlocks.

/**
 * Index + 1 is the version. Times are milliseconds since 1970. `until` is when an entry ends: the earlier of `own_until`
 * (its own ttl) and the retention of its inbox. `top`: the last offset given. `lost`: the highest that left while it could
 * still have been read. `trimmed`: up to where the bound on entries has taken them away. `mark`: what the user has had.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE nexus.meta (name text PRIMARY KEY, value text NOT NULL);

  CREATE TABLE nexus.streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    recipient text COLLATE "C" NOT NULL,
    epoch text NOT NULL,
    top bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    trimmed bigint NOT NULL DEFAULT 0,
    mark bigint NOT NULL DEFAULT 0,
    used_at bigint NOT NULL,
    UNIQUE (tenant, recipient)
  ) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

  CREATE TABLE nexus.entries (
    stream bigint NOT NULL,
    place bigint NOT NULL,
    until bigint NOT NULL,
    own_until bigint NOT NULL,
    acknowledged boolean NOT NULL DEFAULT false,
    id text NOT NULL,
    head text NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (stream, place)
  ) WITH (fillfactor = 95, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
  CREATE INDEX entries_until ON nexus.entries (until);

  CREATE TABLE nexus.publishes (
    stream bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    epoch text,
    place bigint,
    record text NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (stream, key)
  ) WITH (autovacuum_vacuum_scale_factor = 0.02);
  CREATE INDEX publishes_until ON nexus.publishes (until);

  -- An epoch as it is told: with the timeline of this server. A standby that took over, or a server that was restored to
  -- an earlier moment, is on another timeline: whatever it has not got is then never taken for what it has.
  CREATE FUNCTION nexus.epoch_1(own text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT left(own, 12) || '-' || to_hex(('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint % 4096)
  $$;

  -- The row of an inbox, locked; made when there is none. Epochs turn under a lock on meta, so that an inbox that was
  -- forgotten never comes back under the epoch it had.
  CREATE FUNCTION nexus.open_1(who text, whom text, at bigint) RETURNS nexus.streams LANGUAGE plpgsql AS $$
  DECLARE
    s nexus.streams;
  BEGIN
    LOOP
      SELECT * INTO s FROM nexus.streams WHERE tenant = who AND recipient = whom FOR UPDATE;
      IF FOUND THEN RETURN s; END IF;
      INSERT INTO nexus.streams (tenant, recipient, epoch, used_at)
        SELECT who, whom, value, at FROM nexus.meta WHERE name = 'epoch' FOR SHARE
        ON CONFLICT (tenant, recipient) DO NOTHING RETURNING * INTO s;
      IF FOUND THEN RETURN s; END IF;
    END LOOP;
  END $$;

  -- Many publishes as one step. keeps: entries the inbox may have, 0 for what is not kept. keys: null without one.
  CREATE FUNCTION nexus.publish_1(
    tenants text[], recipients text[], ids text[], heads text[], payloads text[], untils bigint[], own_untils bigint[],
    keeps bigint[], keys text[], fingerprints text[], records text[], at bigint, keys_until bigint
  ) RETURNS TABLE (n bigint, outcome text, epoch text, place bigint, record text) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    item record;
    s nexus.streams;
    earlier nexus.publishes;
    cut bigint;
    gone bigint;
    suffix text := nexus.epoch_1('');
  BEGIN
    FOR item IN
      SELECT * FROM unnest(tenants, recipients, ids, heads, payloads, untils, own_untils, keeps, keys, fingerprints, records)
        WITH ORDINALITY AS t(tenant, recipient, id, head, payload, until, own_until, keep, key, fingerprint, record, n)
        ORDER BY t.tenant COLLATE "C", t.recipient COLLATE "C", t.n
    LOOP
      s := nexus.open_1(item.tenant, item.recipient, at);
      IF item.key IS NOT NULL THEN
        SELECT * INTO earlier FROM nexus.publishes p WHERE p.stream = s.id AND p.key = item.key AND p.until > at;
        IF FOUND THEN
          n := item.n;
          outcome := CASE WHEN earlier.fingerprint = item.fingerprint THEN 'replayed' ELSE 'conflict' END;
          epoch := earlier.epoch;
          place := earlier.place;
          record := earlier.record;
          RETURN NEXT;
          CONTINUE;
        END IF;
      END IF;
      n := item.n;
      outcome := 'published';
      epoch := NULL;
      place := NULL;
      record := NULL;
      IF item.keep > 0 THEN
        epoch := left(s.epoch, 12) || suffix;
        place := s.top + 1;
        INSERT INTO nexus.entries (stream, place, until, own_until, id, head, payload)
          VALUES (s.id, s.top + 1, item.until, item.own_until, item.id, item.head, item.payload);
        cut := greatest(s.top + 1 - item.keep, s.trimmed);
        gone := NULL;
        IF cut > s.trimmed THEN
          WITH taken AS (
            DELETE FROM nexus.entries e WHERE e.stream = s.id AND e.place > s.trimmed AND e.place <= cut
              RETURNING e.place, e.own_until
          ) SELECT max(t.place) FILTER (WHERE t.own_until > at) INTO gone FROM taken t;
        END IF;
        UPDATE nexus.streams u SET top = s.top + 1, used_at = at, trimmed = cut, lost = greatest(u.lost, gone) WHERE u.id = s.id;
      END IF;
      IF item.key IS NOT NULL THEN
        INSERT INTO nexus.publishes AS p (stream, key, fingerprint, epoch, place, record, until)
          VALUES (s.id, item.key, item.fingerprint, epoch, place, item.record, keys_until)
          ON CONFLICT (stream, key) DO UPDATE SET fingerprint = excluded.fingerprint, epoch = excluded.epoch,
            place = excluded.place, record = excluded.record, until = excluded.until;
      END IF;
      RETURN NEXT;
    END LOOP;
  END $$;

  -- Moves marks on, never back, never beyond the top, and only under the epoch they were seen in.
  CREATE FUNCTION nexus.mark_1(tenants text[], recipients text[], epochs text[], places bigint[]) RETURNS void LANGUAGE sql AS $$
    WITH asked AS (
      SELECT * FROM unnest(tenants, recipients, epochs, places) AS t(tenant, recipient, epoch, place)
    ), locked AS (
      SELECT s.id, a.place FROM nexus.streams s JOIN asked a
        ON s.tenant = a.tenant AND s.recipient = a.recipient AND nexus.epoch_1(s.epoch) = a.epoch AND s.mark < least(a.place, s.top)
        ORDER BY s.tenant, s.recipient FOR UPDATE OF s
    )
    UPDATE nexus.streams s SET mark = greatest(s.mark, least(m.place, s.top))
      FROM (SELECT id, max(place) AS place FROM locked GROUP BY id) m WHERE s.id = m.id;
  $$;

  -- Over every leading entry that nobody waits for any more: acknowledged, removed or expired.
  CREATE FUNCTION nexus.raise_mark_1(s nexus.streams, at bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE nexus.streams u SET mark = greatest(u.mark, coalesce((
      SELECT e.place - 1 FROM nexus.entries e
        WHERE e.stream = s.id AND e.place > s.mark AND e.until > at AND NOT e.acknowledged ORDER BY e.place LIMIT 1
    ), u.top)) WHERE u.id = s.id;
  $$;

  CREATE FUNCTION nexus.acknowledge_1(who text, whom text, which text, at bigint) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    s nexus.streams;
    found_at bigint;
  BEGIN
    SELECT * INTO s FROM nexus.streams WHERE tenant = who AND recipient = whom FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    SELECT place INTO found_at FROM nexus.entries WHERE stream = s.id AND id = which ORDER BY place DESC LIMIT 1;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE nexus.entries SET acknowledged = true WHERE stream = s.id AND place = found_at AND NOT acknowledged;
    PERFORM nexus.raise_mark_1(s, at);
    RETURN true;
  END $$;

  CREATE FUNCTION nexus.remove_1(who text, whom text, which text, at bigint) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    s nexus.streams;
    found_at bigint;
  BEGIN
    SELECT * INTO s FROM nexus.streams WHERE tenant = who AND recipient = whom FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    SELECT place INTO found_at FROM nexus.entries WHERE stream = s.id AND id = which AND until > at ORDER BY place DESC LIMIT 1;
    IF NOT FOUND THEN RETURN false; END IF;
    DELETE FROM nexus.entries WHERE stream = s.id AND place = found_at;
    PERFORM nexus.raise_mark_1(s, at);
    RETURN true;
  END $$;

  -- Somebody saw this inbox announced up to a place the database does not know (it was restored, or a standby that was
  -- behind took over): from now on it has another epoch.
  CREATE FUNCTION nexus.seen_1(who text, whom text, in_epoch text, up_to bigint, fresh text, at bigint)
    RETURNS TABLE (epoch text, top bigint) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    s nexus.streams;
  BEGIN
    s := nexus.open_1(who, whom, at);
    IF nexus.epoch_1(s.epoch) = in_epoch AND s.top < up_to THEN
      UPDATE nexus.streams u SET epoch = fresh WHERE u.id = s.id;
      s.epoch := fresh;
    END IF;
    epoch := nexus.epoch_1(s.epoch);
    top := s.top;
    RETURN NEXT;
  END $$;

  -- A step of tidying up, by one node at a time. What left before its own end is remembered as lost. Inboxes that are in
  -- use this moment are left for the next step. How many rows went.
  CREATE FUNCTION nexus.sweep_1(at bigint, step bigint) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    entries bigint;
    keys bigint;
  BEGIN
    IF NOT pg_try_advisory_xact_lock(1315462222, 2) THEN RETURN 0; END IF;
    WITH due AS MATERIALIZED (
      SELECT stream, place FROM nexus.entries WHERE until <= at ORDER BY until LIMIT step
    ), locked AS MATERIALIZED (
      SELECT s.id FROM nexus.streams s WHERE s.id IN (SELECT stream FROM due) FOR UPDATE SKIP LOCKED
    ), gone AS (
      DELETE FROM nexus.entries e USING due d, locked l
        WHERE e.stream = d.stream AND e.place = d.place AND l.id = e.stream RETURNING e.stream, e.place, e.own_until
    ), told AS (
      UPDATE nexus.streams s SET lost = greatest(s.lost, g.place)
        FROM (SELECT stream, max(place) AS place FROM gone WHERE own_until > at GROUP BY stream) g WHERE s.id = g.stream
    ) SELECT count(*) INTO entries FROM gone;
    WITH due AS (
      SELECT stream, key FROM nexus.publishes WHERE until <= at ORDER BY until LIMIT step FOR UPDATE SKIP LOCKED
    ), gone AS (
      DELETE FROM nexus.publishes p USING due d WHERE p.stream = d.stream AND p.key = d.key RETURNING 1
    ) SELECT count(*) INTO keys FROM gone;
    RETURN greatest(entries, keys);
  END $$;

  -- Looks at the next inboxes and lets go of those that are empty and unused. The last one looked at; null at the end.
  CREATE FUNCTION nexus.forget_1(after bigint, step bigint, unused_since bigint, fresh text) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    last bigint;
    victims bigint[];
    current text;
  BEGIN
    IF NOT pg_try_advisory_xact_lock(1315462222, 2) THEN RETURN after; END IF;
    WITH walked AS (SELECT id, used_at FROM nexus.streams WHERE id > after ORDER BY id LIMIT step)
      SELECT CASE WHEN count(*) = step THEN max(w.id) END,
        array_agg(w.id) FILTER (WHERE w.used_at < unused_since AND NOT EXISTS (SELECT 1 FROM nexus.entries e WHERE e.stream = w.id))
      INTO last, victims FROM walked w;
    IF victims IS NULL THEN RETURN last; END IF;
    SELECT value INTO current FROM nexus.meta WHERE name = 'epoch' FOR UPDATE;
    SELECT array_agg(l.id) INTO victims FROM (
      SELECT id FROM nexus.streams WHERE id = ANY (victims) AND used_at < unused_since FOR UPDATE SKIP LOCKED
    ) l;
    IF EXISTS (SELECT 1 FROM nexus.streams WHERE id = ANY (victims) AND epoch = current) THEN
      UPDATE nexus.meta SET value = fresh WHERE name = 'epoch';
    END IF;
    DELETE FROM nexus.streams WHERE id = ANY (victims);
    RETURN last;
  END $$;
  `,
  `
  -- A step of purging a tenant: what belongs to its first inboxes, one table after the other. How many rows went.
  CREATE FUNCTION nexus.purge_content_1(who text, step bigint) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    ids bigint[];
    went bigint;
  BEGIN
    SELECT array_agg(l.id) INTO ids FROM (
      SELECT id FROM nexus.streams WHERE tenant = who ORDER BY recipient LIMIT 100 FOR UPDATE
    ) l;
    DELETE FROM nexus.entries WHERE (stream, place) IN (SELECT stream, place FROM nexus.entries WHERE stream = ANY (ids) LIMIT step);
    GET DIAGNOSTICS went = ROW_COUNT;
    IF went > 0 THEN RETURN went; END IF;
    DELETE FROM nexus.publishes WHERE (stream, key) IN (SELECT stream, key FROM nexus.publishes WHERE stream = ANY (ids) LIMIT step);
    GET DIAGNOSTICS went = ROW_COUNT;
    RETURN went;
  END $$;

  -- Lets go of the tenant's first inboxes that hold nothing any more. Epochs turn under a lock on meta, which is taken first.
  -- How many went; -1 when the tenant has none.
  CREATE FUNCTION nexus.purge_streams_1(who text, fresh text) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    ids bigint[];
    current text;
  BEGIN
    IF NOT EXISTS (SELECT 1 FROM nexus.streams WHERE tenant = who) THEN RETURN -1; END IF;
    SELECT value INTO current FROM nexus.meta WHERE name = 'epoch' FOR UPDATE;
    SELECT array_agg(l.id) INTO ids FROM (
      SELECT id FROM nexus.streams s WHERE tenant = who AND NOT EXISTS (SELECT 1 FROM nexus.entries e WHERE e.stream = s.id)
        AND NOT EXISTS (SELECT 1 FROM nexus.publishes p WHERE p.stream = s.id) ORDER BY recipient LIMIT 100 FOR UPDATE SKIP LOCKED
    ) l;
    IF ids IS NULL THEN RETURN 0; END IF;
    IF EXISTS (SELECT 1 FROM nexus.streams WHERE id = ANY (ids) AND epoch = current) THEN
      UPDATE nexus.meta SET value = fresh WHERE name = 'epoch';
    END IF;
    DELETE FROM nexus.entries WHERE stream = ANY (ids);
    DELETE FROM nexus.publishes WHERE stream = ANY (ids);
    DELETE FROM nexus.streams WHERE id = ANY (ids);
    RETURN cardinality(ids);
  END $$;
  `,
];
