-- What else can refuse a call. Servers that do not know these columns leave them alone.

-- AlterTable
ALTER TABLE "account" ADD COLUMN     "suspended" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "api_call" ADD COLUMN     "always_allowed" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "method" TEXT,
ADD COLUMN     "path" TEXT,
ADD COLUMN     "rate_calls" INTEGER,
ADD COLUMN     "rate_per_seconds" INTEGER;

-- AlterTable
ALTER TABLE "api_key" ADD COLUMN     "allowed_networks" INET[] NOT NULL DEFAULT ARRAY[]::INET[],
ADD COLUMN     "enabled" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN     "expires_at" TIMESTAMPTZ(3),
ADD COLUMN     "leaked_at" TIMESTAMPTZ(3),
ADD COLUMN     "monthly_call_limit" BIGINT,
ADD COLUMN     "previous_digest" BYTEA,
ADD COLUMN     "previous_secret_expires_at" TIMESTAMPTZ(3),
ADD COLUMN     "rate_calls" INTEGER,
ADD COLUMN     "rate_per_seconds" INTEGER,
ADD COLUMN     "restricts_resources" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "plan" ADD COLUMN     "rate_calls" INTEGER,
ADD COLUMN     "rate_per_seconds" INTEGER;

-- CreateTable
CREATE TABLE "api_key_resource" (
    "api_key_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "resource_id" TEXT NOT NULL,

    CONSTRAINT "api_key_resource_pkey" PRIMARY KEY ("api_key_id","type","resource_id")
);

-- CreateTable
CREATE TABLE "rate_bucket" (
    "account_id" UUID NOT NULL,
    "subject_id" UUID NOT NULL,
    "spent" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "per_seconds" INTEGER NOT NULL,

    CONSTRAINT "rate_bucket_pkey" PRIMARY KEY ("account_id","subject_id")
);

-- CreateTable
CREATE TABLE "metered_request" (
    "api_key_id" UUID NOT NULL,
    "request_id" TEXT NOT NULL,
    "api_call_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "metered_request_pkey" PRIMARY KEY ("api_key_id","request_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_call_method_path_key" ON "api_call"("method", "path");

-- AddForeignKey
ALTER TABLE "api_key_resource" ADD CONSTRAINT "api_key_resource_api_key_id_fkey" FOREIGN KEY ("api_key_id") REFERENCES "api_key"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rate_bucket" ADD CONSTRAINT "rate_bucket_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Most keys have no previous secret. Prisma's schema cannot express partial indexes and does not compare them.
CREATE UNIQUE INDEX "api_key_previous_digest_key" ON "api_key"("previous_digest") WHERE "previous_digest" IS NOT NULL;

-- Rows arrive in the order of time, so this small index finds the old ones.
CREATE INDEX "metered_request_at_idx" ON "metered_request" USING brin ("at");

-- Rewritten by metered calls, as usage is.
ALTER TABLE "rate_bucket" SET (fillfactor = 50);
