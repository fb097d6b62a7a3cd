/* SPDX-License-Identifier: MIT */
#include "azure/aadsts.h"

#include <stddef.h>

/* Keep sorted: a spec walks it. */
const struct arc_aadsts arc_aadsts_codes[] = {
    {50011, "the redirect address is not registered",
     "register http://localhost for the application as a redirect of mobile "
     "and desktop applications"},
    {50012, "the signed assertion was refused",
     "check the certificate or the platform's token, and this machine's clock"},
    {50020, "the user is not in this tenant",
     "sign in with another account, or name the right tenant with --tenant"},
    {50027, "the signed assertion is malformed",
     "check the platform's token, and this machine's clock"},
    {50034, "the user does not exist in this directory",
     "check the spelling and the tenant"},
    {50053, "the account is locked, or the address blocked",
     "wait, or ask an administrator"},
    {50055, "the password has expired", "change it in a browser, then sign in"},
    {50057, "the account is disabled", "ask an administrator"},
    {50059, "the tenant cannot be determined", "name it with --tenant"},
    {50076, "multi-factor authentication is needed",
     "sign in again interactively: arclua login"},
    {50079, "multi-factor authentication must be set up",
     "sign in once with a browser, and register a second factor"},
    {50105, "the user is not assigned to the application",
     "an administrator assigns the user to the enterprise application"},
    {50126, "user name or password is wrong", "try again"},
    {50131, "Conditional Access blocks this device, place or time",
     "ask an administrator, or use another device or network"},
    {50158, "another service must confirm the sign-in",
     "sign in again interactively: arclua login"},
    {50173, "the sign-in was revoked, often by a new password",
     "sign in again: arclua login"},
    {50194, "the application belongs to one tenant",
     "name that tenant with --tenant"},
    {53000, "the device does not comply with Conditional Access",
     "sign in from a managed device, or ask an administrator"},
    {53003, "Conditional Access blocks the sign-in",
     "give the trace id to an administrator"},
    {65001, "nobody has consented to this use of the application",
     "an administrator consents, or sign in once with a browser"},
    {65002, "the application may not ask for this resource",
     "for SSH certificates sign in as the Azure CLI's application: arclua "
     "login without --client-id"},
    {70008, "the sign-in has expired", "sign in again: arclua login"},
    {70043, "a policy ends sign-ins of this age",
     "sign in again: arclua login"},
    {90002, "there is no such tenant",
     "check AZURE_TENANT_ID or --tenant, and the cloud"},
    {90055, "the tenant has too many sign-ins", "wait, then try again"},
    {90072, "the account is not a guest of this tenant",
     "have it invited, or sign in with another account"},
    {500011, "the resource is not known in this tenant",
     "check the cloud and the tenant"},
    {700016, "the application is not in this tenant",
     "check AZURE_CLIENT_ID, the tenant and the cloud"},
    {700023, "the assertion is for another audience",
     "check the tenant, and the cloud's authority"},
    {700024, "the assertion is outside of its time",
     "correct this machine's clock; else let the platform write a new token"},
    {700027, "the certificate is not registered, or not its key was used",
     "upload the certificate to the application; check that the file is the "
     "right one"},
    {700030, "the certificate's subject or issuer is not allowed",
     "set AZURE_CLIENT_SEND_CERTIFICATE_CHAIN=true; check the application's "
     "allowed subjects"},
    {700082, "the sign-in has not been used for too long",
     "sign in again: arclua login"},
    {700211, "no federated credential has this issuer",
     "compare the issuer in the message with the application's federated "
     "credentials"},
    {700212, "no federated credential has this audience",
     "compare the audience in the message with the application's federated "
     "credentials"},
    {700213, "no federated credential has this subject",
     "compare the subject in the message with the application's federated "
     "credentials; GitHub's newer subjects hold ids"},
    {7000112, "the application is disabled", "ask an administrator"},
    {7000215, "the client secret is wrong",
     "set AZURE_CLIENT_SECRET to the secret's value, not to its ID"},
    {7000218, "the application must prove itself",
     "give its secret or certificate, or allow public client flows in its "
     "registration"},
    {7000222, "the client secret has expired",
     "make a new secret for the application"},
    {0, NULL, NULL}};

const struct arc_aadsts *arc_aadsts_find(long long code) {
  for (const struct arc_aadsts *at = arc_aadsts_codes; at->code; at++) {
    if (at->code == code) {
      return at;
    }
  }
  return NULL;
}
