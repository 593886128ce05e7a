// The four calls of the README through a client whose types are generated from the contract.
// Usage: node build/client.js demo.json
import createClient from "openapi-fetch";
import type { components, paths } from "./build/contract.js";

declare const process: { argv: string[]; exit(code: number): never };

type Demo = { base_url: string; tokens: Record<string, string> };
type Figure = components["schemas"]["FigureView"];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const { readFile } = await import("node:fs/promises" as string) as { readFile(path: string, as: "utf8"): Promise<string> };
const demo: Demo = JSON.parse(await readFile(process.argv[2] ?? "", "utf8"));
const as = (role: string) =>
  createClient<paths>({ baseUrl: demo.base_url, headers: { authorization: `Bearer ${demo.tokens[role]}` } });
const office = as("labour_office");

// What waits for the labour office?
const waiting = await office.GET("/v1/figures", { params: { query: { state: "reported" } } });
const figure: Figure | undefined = waiting.data?.items[0];
check(figure !== undefined && figure.allowed_actions.includes("confirm"), "a figure waits");

// A change names the version that it is based on; a second attempt comes too late.
const confirm = () =>
  office.POST("/v1/figures/{id}:confirm", { params: { path: { id: figure.id }, header: { "If-Match": `"${figure.version}"` } } });
const confirmed = await confirm();
check(confirmed.data?.state === "confirmed" && confirmed.data.version === 2, "confirmed");
const late = await confirm();
check(late.response.status === 412 && late.error !== undefined, "too late");
check(late.error.code === "precondition_failed" && late.error.trace_id.length === 32, "a problem says why");

// What do the rules say of a village?
const member = as("council_member");
const village = await member.GET("/v1/units:resolve", { params: { query: { name: "ban phieng o" } } });
const campaigns = await member.GET("/v1/campaigns", {});
const campaign = campaigns.data?.items[0];
check(village.data !== undefined && campaign !== undefined, "a village and a campaign");
const said = await member.POST("/v1/recommendations", {
  body: { campaign: campaign.id, round: "final", scope: { subjects: [village.data.id] } },
});
const criterion = said.data?.subjects[0]?.criteria.find((criterion) => criterion.id === "III.2.3.d");
check(criterion?.status === "not_met" && criterion.say.en.length > 0, "a criterion and why");

// And the log has it all.
const history = await office.GET("/v1/figures/{id}/events", { params: { path: { id: figure.id } } });
const types = history.data?.items.map((event) => event.type);
check(types?.join() === "figure.reported,figure.confirmed", `the history: ${types}`);
console.log("typed client: the four calls of the README, as expected");
