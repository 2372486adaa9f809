-- Changes of keys that know the restrictions of 20261127000000_restrictions. They build on the functions of earlier
-- versions, which servers of those versions go on calling.

-- Sets what a key may be used from and for. NULL leaves a restriction as it is, an empty array lifts it. Resources are
-- pairs of a type and an id without duplicates; an empty id stands for all of the type. The key's row must be locked.
CREATE FUNCTION "latchkey_restrict_api_key"(
    "key_id" UUID,
    "key_networks" INET[],
    "resource_types" TEXT[],
    "resource_ids" TEXT[]
) RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF key_networks IS NOT NULL THEN
        UPDATE api_key
        SET allowed_networks = ARRAY(SELECT DISTINCT network(net)::INET FROM unnest(key_networks) AS net ORDER BY 1)
        WHERE id = key_id;
    END IF;
    IF resource_types IS NOT NULL THEN
        UPDATE api_key SET restricts_resources = cardinality(resource_types) > 0 WHERE id = key_id;
        DELETE FROM api_key_resource WHERE api_key_id = key_id;
        INSERT INTO api_key_resource (api_key_id, type, resource_id)
        SELECT key_id, granted.type, granted.id FROM unnest(resource_types, resource_ids) AS granted (type, id);
    END IF;
END
$$;

-- Adds a key as "latchkey_add_api_key_within_rate" does, with its restrictions, in one transaction.
CREATE FUNCTION "latchkey_add_restricted_api_key"(
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
    "key_expires_at" TIMESTAMPTZ,
    "key_monthly_call_limit" BIGINT,
    "key_rate_calls" INTEGER,
    "key_rate_per_seconds" INTEGER,
    "key_networks" INET[],
    "resource_types" TEXT[],
    "resource_ids" TEXT[],
    OUT "outcome" TEXT,
    OUT "limiting_plan" UUID,
    OUT "key_limit" INTEGER,
    OUT "unknown_positions" INTEGER[],
    OUT "next_addition_at" TIMESTAMPTZ
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT addition.outcome, addition.limiting_plan, addition.key_limit, addition.unknown_positions,
        addition.next_addition_at
    INTO outcome, limiting_plan, key_limit, unknown_positions, next_addition_at
    FROM latchkey_add_api_key_within_rate(for_account, key_id, key_digest, key_sealed_secret, key_start, key_note,
        key_access_mode, api_call_names, added_at, most_per_hour) AS addition;
    IF outcome <> 'added' THEN
        RETURN;
    END IF;

    IF key_expires_at IS NOT NULL OR key_monthly_call_limit IS NOT NULL OR key_rate_calls IS NOT NULL THEN
        UPDATE api_key
        SET expires_at = key_expires_at, monthly_call_limit = key_monthly_call_limit, rate_calls = key_rate_calls,
            rate_per_seconds = key_rate_per_seconds
        WHERE id = key_id;
    END IF;
    PERFORM latchkey_restrict_api_key(key_id, key_networks, resource_types, resource_ids);
END
$$;

-- Replaces a key's access as "latchkey_set_api_key_access" does, and the restrictions that are not NULL, in one
-- transaction. Two changes at once leave one or the other, because the first locks the key.
CREATE FUNCTION "latchkey_configure_api_key_access"(
    "key_id" UUID,
    "within_account" UUID,
    "key_access_mode" "api_key_access_mode",
    "api_call_names" TEXT[],
    "key_networks" INET[],
    "resource_types" TEXT[],
    "resource_ids" TEXT[],
    OUT "outcome" TEXT,
    OUT "of_account" UUID,
    OUT "unknown_positions" INTEGER[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT change.outcome, change.of_account, change.unknown_positions
    INTO outcome, of_account, unknown_positions
    FROM latchkey_set_api_key_access(key_id, within_account, key_access_mode, api_call_names) AS change;
    IF outcome = 'set' THEN
        PERFORM latchkey_restrict_api_key(key_id, key_networks, resource_types, resource_ids);
    END IF;
END
$$;

-- Replaces a key's secret. With "overlap_until" the replaced one works until then, which must not be after the key's
-- expiry; NULL ends it now. The one before it ends in any case. The key is locked first, so that of two replacements
-- at once, the second keeps the secret of the first.
CREATE FUNCTION "latchkey_regenerate_api_key"(
    "key_id" UUID,
    "within_account" UUID,
    "new_digest" BYTEA,
    "new_sealed_secret" TEXT,
    "new_start" TEXT,
    "new_since" TIMESTAMPTZ,
    "overlap_until" TIMESTAMPTZ,
    OUT "outcome" TEXT,
    OUT "of_account" UUID,
    OUT "key_expires_at" TIMESTAMPTZ
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT account_id, expires_at INTO of_account, key_expires_at
    FROM api_key
    WHERE id = key_id AND removed_at IS NULL AND (within_account IS NULL OR account_id = within_account)
    FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'no key';
        RETURN;
    END IF;
    IF overlap_until > key_expires_at THEN
        outcome := 'beyond expiry';
        RETURN;
    END IF;

    UPDATE api_key
    SET previous_digest = CASE WHEN overlap_until IS NOT NULL THEN digest END,
        previous_secret_expires_at = overlap_until,
        digest = new_digest, sealed_secret = new_sealed_secret, start = new_start, regenerated_at = new_since
    WHERE id = key_id;
    outcome := 'regenerated';
END
$$;

-- Servers of version 0.1, which may still run beside this one, remove and re-generate keys without knowing of a previous
-- secret. Whoever changes the current secret and leaves the previous one alone ends that one, too.
CREATE FUNCTION "latchkey_end_overlap"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.digest IS DISTINCT FROM OLD.digest AND NEW.previous_digest = OLD.previous_digest THEN
        NEW.previous_digest := NULL;
        NEW.previous_secret_expires_at := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER "api_key_overlap_end" BEFORE UPDATE OF "digest" ON "api_key"
FOR EACH ROW EXECUTE FUNCTION "latchkey_end_overlap"();
