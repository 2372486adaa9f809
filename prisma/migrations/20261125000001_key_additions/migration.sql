-- Removed keys stay as rows, because their usage does. This index leaves them out, so that pages, counts and snapshots
-- of an account's keys cost what the keys that are left cost. Prisma's schema cannot express partial indexes and does
-- not compare them, so this file is the only place that declares these.
--
-- Building the indexes blocks additions and changes of keys, but not metering, which only reads this table.
CREATE INDEX "api_key_page_idx" ON "api_key"("account_id", "id") WHERE "removed_at" IS NULL;

DROP INDEX "api_key_account_id_id_idx";

-- Finds the latest additions, removed keys included. The condition holds for every row. It keeps the planner from using
-- this index for queries that do not compare the time, which would read the removed keys again.
CREATE INDEX "api_key_addition_idx" ON "api_key"("account_id", "created_at") WHERE "created_at" IS NOT NULL;

-- Adds a key as "latchkey_add_api_key" does, unless "most_per_hour" keys were added to the account within the hour
-- before "added_at", removed ones included; NULL means no limit. The account's lock makes that exact on any number of
-- servers. "next_addition_at" is when the next key may be added.
CREATE FUNCTION "latchkey_add_api_key_within_rate"(
    "for_account" UUID,
    "key_id" UUID,
    "key_digest" BYTEA,
    "key_sealed_secret" TEXT,
    "key_start" TEXT,
    "key_note" TEXT,
    "key_access_mode" "api_key_access_mode",
    "api_call_names" TEXT[],
    "added_at" TIMESTAMPTZ,
    "most_per_hour" INTEGER,
    OUT "outcome" TEXT,
    OUT "limiting_plan" UUID,
    OUT "key_limit" INTEGER,
    OUT "unknown_positions" INTEGER[],
    OUT "next_addition_at" TIMESTAMPTZ
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM account WHERE id = for_account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'no account';
        RETURN;
    END IF;

    SELECT plan.id, plan.max_api_keys INTO limiting_plan, key_limit
    FROM account JOIN plan ON plan.id = account.plan_id
    WHERE account.id = for_account;
    IF (SELECT count(*) FROM api_key WHERE account_id = for_account AND removed_at IS NULL) >= key_limit THEN
        outcome := 'limit reached';
        RETURN;
    END IF;

    IF most_per_hour IS NOT NULL THEN
        -- Reads no more rows than the limit, however many were added.
        SELECT created_at + interval '1 hour' INTO next_addition_at
        FROM api_key
        WHERE account_id = for_account AND created_at > added_at - interval '1 hour'
        ORDER BY created_at DESC
        OFFSET most_per_hour - 1 LIMIT 1;
        IF FOUND THEN
            outcome := 'too many additions';
            RETURN;
        END IF;
    END IF;

    unknown_positions := ARRAY(
        SELECT position::INTEGER
        FROM unnest(api_call_names) WITH ORDINALITY AS asked (name, position)
        WHERE NOT EXISTS (SELECT FROM api_call WHERE api_call.name = asked.name)
        ORDER BY position
    );
    IF cardinality(unknown_positions) > 0 THEN
        outcome := 'unknown API calls';
        RETURN;
    END IF;

    INSERT INTO api_key (id, account_id, digest, sealed_secret, start, note, access_mode, created_at)
    VALUES (key_id, for_account, key_digest, key_sealed_secret, key_start, key_note, key_access_mode, added_at);
    INSERT INTO api_key_api_call (api_key_id, api_call_id)
    SELECT key_id, id FROM api_call WHERE name = ANY (api_call_names);
    outcome := 'added';
END
$$;
