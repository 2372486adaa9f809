-- What operators do to keys, accounts and the catalogue.

-- The digest that a key was imported with. It stays when the key gets a new secret or is removed, so that a repeated
-- import brings no old secret back. Nothing is looked up by it but imports.
ALTER TABLE "api_key" ADD COLUMN "imported_digest" BYTEA;

-- Few keys are imported. Prisma's schema cannot express partial indexes or indexes on expressions and does not compare them.
CREATE UNIQUE INDEX "api_key_imported_digest_key" ON "api_key"("imported_digest") WHERE "imported_digest" IS NOT NULL;

-- A request must not match two API calls, and it does not know the names of parameters.
CREATE UNIQUE INDEX "api_call_route_key" ON "api_call"("method", regexp_replace("path", '/:[^/]+', '/:', 'g'));

-- Removes a plan that no account is on. "users" are the external ids of up to "most_named" accounts, and one more if
-- there are others.
CREATE FUNCTION "latchkey_remove_plan"(
    "plan_slug" TEXT,
    "most_named" INTEGER,
    OUT "outcome" TEXT,
    OUT "removed" UUID,
    OUT "users" TEXT[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Accounts that are put on the plan wait for this lock, and then find that it is gone.
    SELECT id INTO removed FROM plan WHERE slug = plan_slug FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'not found';
        RETURN;
    END IF;

    users := ARRAY(SELECT external_id FROM account WHERE plan_id = removed LIMIT most_named + 1);
    IF cardinality(users) > 0 THEN
        outcome := 'in use';
        RETURN;
    END IF;

    DELETE FROM plan WHERE id = removed;
    outcome := 'removed';
END
$$;

-- Removes an API call that no key is restricted to. "users" are the starts of up to "most_named" keys with the external
-- ids of their accounts, and one more if there are others.
CREATE FUNCTION "latchkey_remove_api_call"(
    "api_call_name" TEXT,
    "most_named" INTEGER,
    OUT "outcome" TEXT,
    OUT "removed" UUID,
    OUT "users" TEXT[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Keys that are restricted to it wait for this lock, and then find that it is gone.
    SELECT id INTO removed FROM api_call WHERE name = api_call_name FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'not found';
        RETURN;
    END IF;

    users := ARRAY(
        SELECT api_key.start || ' of ' || account.external_id
        FROM api_key_api_call granted
        JOIN api_key ON api_key.id = granted.api_key_id AND api_key.removed_at IS NULL
        JOIN account ON account.id = api_key.account_id
        WHERE granted.api_call_id = removed
        LIMIT most_named + 1
    );
    IF cardinality(users) > 0 THEN
        outcome := 'in use';
        RETURN;
    END IF;

    -- Those of removed keys.
    DELETE FROM api_key_api_call WHERE api_call_id = removed;
    DELETE FROM api_call WHERE id = removed;
    outcome := 'removed';
END
$$;

-- Removes "most_keys" keys of an account with their usage and, if that was the last of them, the account with all that
-- belongs to it. Returns whether it did.
--
-- The rows are locked in the order in which calls are charged. A call that is being charged nevertheless may lock them
-- in between; then this function fails, before PostgreSQL looks for a deadlock and ends one of the two, which may be
-- the call.
CREATE FUNCTION "latchkey_remove_account"("of_account" UUID, "most_keys" INTEGER) RETURNS BOOLEAN
LANGUAGE plpgsql VOLATILE SET lock_timeout = '250ms' AS $$
DECLARE
    -- The condition on the time holds for every key, and is what lets an index find removed ones, too.
    key_ids UUID[] := ARRAY(
        SELECT id FROM api_key WHERE account_id = of_account AND created_at IS NOT NULL ORDER BY created_at LIMIT most_keys
    );
    is_last BOOLEAN := cardinality(key_ids) < most_keys;
BEGIN
    IF is_last THEN
        DELETE FROM rate_bucket WHERE account_id = of_account;
        DELETE FROM account_usage WHERE account_id = of_account;
    END IF;
    DELETE FROM api_key_usage WHERE api_key_id = ANY (key_ids);
    DELETE FROM api_key WHERE id = ANY (key_ids);
    IF is_last THEN
        DELETE FROM account WHERE id = of_account;
    END IF;
    RETURN is_last;
END
$$;

-- Adds keys whose secrets were issued elsewhere, all or none. "asked" is a list of objects: "position", "id", "account"
-- (external id), "digest" (hexadecimal), "start", "note", "mode", "apiCalls" (names), "networks", "resources" (null for
-- no restriction, else objects with "type" and "id", which is empty for all of the type), "createdAt" and "expiresAt".
--
-- A digest that was imported into the same account before is left as it is, whatever has become of its key. Imports into
-- one account run one after another, and beside no addition to it.
--
-- "problems" lists [position, problem, position of the API call]; then nothing was imported. "keys" lists the id of
-- every row's key in order, "accounts" those to which keys were added.
CREATE FUNCTION "latchkey_import_api_keys"(
    "asked" JSONB,
    "imported_at" TIMESTAMPTZ,
    OUT "problems" JSONB,
    OUT "keys" UUID[],
    OUT "accounts" UUID[],
    OUT "added" INTEGER
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    fresh JSONB;
BEGIN
    PERFORM FROM account
    WHERE external_id IN (SELECT item ->> 'account' FROM jsonb_array_elements(asked) item)
    ORDER BY id
    FOR NO KEY UPDATE;

    SELECT coalesce(jsonb_agg(item), '[]') INTO fresh
    FROM jsonb_array_elements(asked) item
    WHERE NOT EXISTS (
        SELECT FROM api_key JOIN account ON account.id = api_key.account_id
        WHERE api_key.imported_digest = decode(item ->> 'digest', 'hex') AND account.external_id = item ->> 'account'
    );

    SELECT jsonb_agg(jsonb_build_array(position, problem, api_call_position)) INTO problems
    FROM (
        SELECT item.position,
            CASE
                WHEN account.id IS NULL THEN 'no account'
                WHEN EXISTS (SELECT FROM api_key WHERE imported_digest = decode(item.digest, 'hex'))
                    THEN 'other account'
                WHEN EXISTS (SELECT FROM api_key WHERE digest = decode(item.digest, 'hex'))
                    OR EXISTS (SELECT FROM api_key WHERE previous_digest = decode(item.digest, 'hex'))
                    THEN 'other key'
                WHEN item."expiresAt" <= imported_at THEN 'expired'
            END AS problem,
            NULL::BIGINT AS api_call_position
        FROM jsonb_to_recordset(fresh) AS item (position INTEGER, account TEXT, digest TEXT, "expiresAt" TIMESTAMPTZ)
        LEFT JOIN account ON account.external_id = item.account
        UNION ALL
        SELECT item.position, 'unknown API call', named.position
        FROM jsonb_to_recordset(fresh) AS item (position INTEGER, "apiCalls" TEXT[])
        CROSS JOIN unnest(item."apiCalls") WITH ORDINALITY AS named (name, position)
        WHERE NOT EXISTS (SELECT FROM api_call WHERE api_call.name = named.name)
        ORDER BY 1, 3
    ) found
    WHERE problem IS NOT NULL;
    IF problems IS NOT NULL THEN
        RETURN;
    END IF;

    INSERT INTO api_key (id, account_id, digest, imported_digest, start, note, access_mode, allowed_networks,
        restricts_resources, created_at, expires_at)
    SELECT item.id, account.id, decode(item.digest, 'hex'), decode(item.digest, 'hex'), item.start, item.note,
        item.mode::"api_key_access_mode",
        ARRAY(SELECT DISTINCT network(net::INET)::INET FROM unnest(item.networks) AS net ORDER BY 1), item.resources IS NOT NULL, item."createdAt",
        item."expiresAt"
    FROM jsonb_to_recordset(fresh) AS item (id UUID, account TEXT, digest TEXT, start TEXT, note TEXT, mode TEXT,
        networks TEXT[], resources JSONB, "createdAt" TIMESTAMPTZ, "expiresAt" TIMESTAMPTZ)
    JOIN account ON account.external_id = item.account
    ORDER BY item.digest
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added < jsonb_array_length(fresh) THEN
        -- Another account was given one of these digests a moment ago. The next attempt sees it.
        RAISE EXCEPTION 'a digest was taken in between' USING ERRCODE = 'serialization_failure';
    END IF;

    INSERT INTO api_key_api_call (api_key_id, api_call_id)
    SELECT item.id, api_call.id
    FROM jsonb_to_recordset(fresh) AS item (id UUID, "apiCalls" TEXT[])
    JOIN api_call ON api_call.name = ANY (item."apiCalls");
    INSERT INTO api_key_resource (api_key_id, type, resource_id)
    SELECT item.id, resource.type, resource.id
    FROM jsonb_to_recordset(fresh) AS item (id UUID, resources JSONB)
    CROSS JOIN jsonb_to_recordset(item.resources) AS resource (type TEXT, id TEXT);

    keys := ARRAY(
        SELECT api_key.id
        FROM jsonb_to_recordset(asked) AS item (position INTEGER, digest TEXT)
        JOIN api_key ON api_key.imported_digest = decode(item.digest, 'hex')
        ORDER BY item.position
    );
    accounts := ARRAY(
        SELECT DISTINCT account.id
        FROM jsonb_to_recordset(fresh) AS item (account TEXT)
        JOIN account ON account.external_id = item.account
    );
END
$$;
