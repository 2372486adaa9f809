-- Changes of keys that must look at rows after locking others, in one round trip. A single statement could not: its
-- snapshot is older than the lock it waits for. Each statement of a volatile function takes a new snapshot.
--
-- Servers of different versions share these functions during an upgrade. A function whose meaning changes therefore
-- gets a new name, and the old one stays until no version calls it.

-- Adds a key unless the account's plan is full. Adds to one account run one after another, whichever server and
-- version makes them: all lock the account's row before they count its keys. Metering does not wait for this lock.
-- `unknown_positions` lists the positions, from 1, of all names that the catalogue does not have.
CREATE FUNCTION "latchkey_add_api_key"(
    "for_account" UUID,
    "key_id" UUID,
    "key_digest" BYTEA,
    "key_sealed_secret" TEXT,
    "key_start" TEXT,
    "key_note" TEXT,
    "key_access_mode" "api_key_access_mode",
    "api_call_names" TEXT[],
    "added_at" TIMESTAMPTZ,
    OUT "outcome" TEXT,
    OUT "limiting_plan" UUID,
    OUT "key_limit" INTEGER,
    OUT "unknown_positions" INTEGER[]
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

-- Replaces a key's access. Locks the key first, so that two changes of its access cannot mix. `within_account` limits
-- it to the keys of one account; NULL means any account. Finds no removed key.
CREATE FUNCTION "latchkey_set_api_key_access"(
    "key_id" UUID,
    "within_account" UUID,
    "key_access_mode" "api_key_access_mode",
    "api_call_names" TEXT[],
    OUT "outcome" TEXT,
    OUT "of_account" UUID,
    OUT "unknown_positions" INTEGER[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT account_id INTO of_account
    FROM api_key
    WHERE id = key_id AND removed_at IS NULL AND (within_account IS NULL OR account_id = within_account)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'no key';
        RETURN;
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

    UPDATE api_key SET access_mode = key_access_mode WHERE id = key_id;
    DELETE FROM api_key_api_call WHERE api_key_id = key_id;
    INSERT INTO api_key_api_call (api_key_id, api_call_id)
    SELECT key_id, id FROM api_call WHERE name = ANY (api_call_names);
    outcome := 'set';
END
$$;
