// Searches by the Java clients of both engines, at each of the URLs that are given: java Trial.java KIND INDEX URL...
// KIND: elasticsearch or opensearch. Prints a line for each URL: total, buckets, and the ids of the hits. Both clients
// parse strictly, and ask for typed keys.

import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch.core.search.HighlightField;
import co.elastic.clients.util.NamedValue;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.hc.core5.http.HttpHost;
import org.opensearch.client.opensearch.OpenSearchClient;
import org.opensearch.client.transport.httpclient5.ApacheHttpClient5TransportBuilder;

public class Trial {
    public static void main(String[] given) throws Exception {
        for (int at = 2; at < given.length; at++) {
            boolean isOpenSearch = given[0].equals("opensearch");
            System.out.println(isOpenSearch ? opensearch(given[1], given[at]) : elasticsearch(given[1], given[at]));
        }
        System.exit(0);
    }

    static String elasticsearch(String index, String url) throws Exception {
        ElasticsearchClient client = ElasticsearchClient.of(builder -> builder.host(url));
        var found = client.search(
            search -> search.index(index).size(40)
                .query(query -> query.bool(bool -> bool
                    .must(must -> must.match(match -> match.field("title").query("red sofa")))
                    .filter(filter -> filter.term(term -> term.field("brand").value("acme")))))
                .aggregations("brands", brands -> brands.terms(terms -> terms.field("brand")))
                .highlight(highlight -> highlight.fields(
                    NamedValue.of("title", HighlightField.of(field -> field.numberOfFragments(1))))),
            Map.class);
        int buckets = found.aggregations().get("brands").sterms().buckets().array().size();
        var several = client.msearch(
            request -> request.searches(item -> item
                .header(header -> header.index(index))
                .body(body -> body.size(5)
                    .query(query -> query.match(match -> match.field("title").query("red sofa"))))),
            Map.class);
        List<String> ids = found.hits().hits().stream().map(hit -> hit.id()).collect(Collectors.toList());
        int replies = several.responses().size();
        return found.hits().total().value() + " " + buckets + " " + replies + " " + String.join(",", ids);
    }

    static String opensearch(String index, String url) throws Exception {
        URI at = URI.create(url);
        var host = new HttpHost(at.getScheme(), at.getHost(), at.getPort());
        var transport = ApacheHttpClient5TransportBuilder.builder(host).build();
        OpenSearchClient client = new OpenSearchClient(transport);
        var found = client.search(
            search -> search.index(index).size(40)
                .query(query -> query.bool(bool -> bool
                    .must(must -> must.match(match -> match.field("title").query(text -> text.stringValue("red sofa"))))
                    .filter(filter -> filter.term(term -> term
                        .field("brand").value(value -> value.stringValue("acme"))))))
                .aggregations("brands", brands -> brands.terms(terms -> terms.field("brand")))
                .highlight(highlight -> highlight.fields("title", field -> field.numberOfFragments(1))),
            Map.class);
        int buckets = found.aggregations().get("brands").sterms().buckets().array().size();
        var several = client.msearch(
            request -> request.searches(item -> item
                .header(header -> header.index(index))
                .body(body -> body.size(5)
                    .query(query -> query.match(match -> match
                        .field("title").query(text -> text.stringValue("red sofa")))))),
            Map.class);
        List<String> ids = found.hits().hits().stream().map(hit -> hit.id()).collect(Collectors.toList());
        int replies = several.responses().size();
        return found.hits().total().value() + " " + buckets + " " + replies + " " + String.join(",", ids);
    }
}
