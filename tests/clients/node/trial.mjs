// Searches by other people's clients, at each of the URLs that are given: node trial.mjs KIND INDEX URL...
// KIND: elasticsearch-8, elasticsearch-9 or opensearch, by the engine. Prints one JSON object for each URL.

import { Client as OpenSearch } from "@opensearch-project/opensearch";
import Searchkit from "@searchkit/api";
import SearchUI from "@elastic/search-ui-elasticsearch-connector";
import { Client as Elasticsearch8 } from "elasticsearch-8";
import { Client as Elasticsearch9 } from "elasticsearch-9";

const [kind, index, ...urls] = process.argv.slice(2);
const query = { bool: { must: [{ match: { title: "red sofa" } }], filter: [{ term: { brand: "acme" } }] } };
const aggs = { brands: { terms: { field: "brand" } } };

function read(reply) {
  return {
    ids: reply.hits.hits.map((hit) => hit._id),
    total: reply.hits.total.value,
    brands: reply.aggregations?.brands?.buckets?.length,
  };
}

async function elasticsearch(Client, node) {
  const client = new Client({ node });
  const found = await client.search({ index, query, aggs, size: 40 }, { meta: true });
  const several = await client.msearch({
    searches: [{ index }, { query, size: 5 }, { index }, { query: { match_all: {} }, size: 1 }],
  });
  await client.close();
  return {
    ...read(found.body),
    outcome: found.headers["x-rerank"],
    several: several.responses.map((reply) => reply.hits.hits.length),
  };
}

async function opensearch(node) {
  const client = new OpenSearch({ node });
  const found = await client.search({ index, body: { query, aggs, size: 40 } });
  const several = await client.msearch({
    body: [{ index }, { query, size: 5 }, { index }, { query: { match_all: {} }, size: 1 }],
  });
  await client.close();
  return {
    ...read(found.body),
    outcome: found.headers["x-rerank"],
    several: several.body.responses.map((reply) => reply.hits.hits.length),
  };
}

async function searchUI(host) {
  const connector = new SearchUI({ host, index });
  const state = { searchTerm: "red sofa", resultsPerPage: 5, current: 2, filters: [], sortList: [] };
  const found = await connector.onSearch(state, {
    search_fields: { title: { weight: 3 }, text: {} },
    result_fields: { title: { snippet: {} }, brand: { raw: {} } },
    facets: { brand: { type: "value", size: 5 } },
    disjunctiveFacets: [],
    filters: [{ field: "brand", values: ["acme"], type: "any" }],
  });
  return {
    ids: found.results.map((result) => result.id.raw),
    total: found.totalResults,
    brands: found.facets.brand[0].data.length,
  };
}

async function searchkit(host) {
  const client = Searchkit({
    connection: { host },
    search_settings: {
      search_attributes: ["title", "text"],
      result_attributes: ["title", "brand"],
      highlight_attributes: ["title"],
      facet_attributes: [{ attribute: "brand", field: "brand", type: "string" }],
    },
  });
  const params = { query: "red sofa", hitsPerPage: 6, page: 1, facets: ["brand"], facetFilters: [["brand:acme"]] };
  const reply = await client.handleRequest([{ indexName: index, params }]);
  const found = reply.results[0];
  return { ids: found.hits.map((hit) => hit.objectID), total: found.nbHits, pages: found.nbPages };
}

for (const url of urls) {
  const answers = kind === "opensearch" ? { opensearch: await opensearch(url) } : {};
  if (kind !== "opensearch") {
    answers["elasticsearch-8"] = await elasticsearch(Elasticsearch8, url);
    answers["search-ui"] = await searchUI(url);
  }
  if (kind === "elasticsearch-9") answers["elasticsearch-9"] = await elasticsearch(Elasticsearch9, url);
  answers.searchkit = await searchkit(url);
  console.log(JSON.stringify(answers));
}
