-- Plans that customers may see. An unlisted plan is seen only by the accounts that are on it.
ALTER TABLE "plan" ADD COLUMN "listed" BOOLEAN NOT NULL DEFAULT true;
