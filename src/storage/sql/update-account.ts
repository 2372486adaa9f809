/**
 * Renames an account and changes its plan. Returns its id, or no row if there is no such account or no such plan.
 *
 * $1 external id · $2 name · $3 plan's slug
 */
export const updateAccountStatement = {
  name: 'latchkey-update-account',
  text: `
    update account set name = $2, plan_id = plan.id
    from plan
    where account.external_id = $1 and plan.slug = $3
    returning account.id`,
}
