// Searches by a repository of Spring Data, at each of the URLs that are given: java shop.SpringTrial INDEX URL...
// Prints a line for each URL and query: its name, total, and the ids of the hits.

// Spring looks for what is configured in the package of the program: with none, through each class of each jar
package shop;

import java.net.URI;
import java.util.stream.Collectors;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.annotation.Id;
import org.springframework.data.domain.PageRequest;
import org.springframework.data.domain.Pageable;
import org.springframework.data.elasticsearch.annotations.Document;
import org.springframework.data.elasticsearch.annotations.Query;
import org.springframework.data.elasticsearch.client.ClientConfiguration;
import org.springframework.data.elasticsearch.client.elc.ElasticsearchConfiguration;
import org.springframework.data.elasticsearch.core.SearchHits;
import org.springframework.data.elasticsearch.repository.ElasticsearchRepository;
import org.springframework.data.elasticsearch.repository.config.EnableElasticsearchRepositories;

public class SpringTrial {
    public static String index;
    static String url;

    @Document(indexName = "#{T(shop.SpringTrial).index}", createIndex = false)
    public static class Product {
        @Id
        public String id;
        public String title;
        public String brand;
    }

    public interface Products extends ElasticsearchRepository<Product, String> {
        SearchHits<Product> findByTitle(String title, Pageable page);

        @Query("{\"bool\": {\"must\": [{\"match\": {\"title\": \"?0\"}}], "
            + "\"filter\": [{\"term\": {\"brand\": \"?1\"}}]}}")
        SearchHits<Product> searchOf(String title, String brand, Pageable page);
    }

    @Configuration
    @EnableElasticsearchRepositories(considerNestedRepositories = true)
    public static class Shop extends ElasticsearchConfiguration {
        @Override
        public ClientConfiguration clientConfiguration() {
            URI at = URI.create(url);
            return ClientConfiguration.builder().connectedTo(at.getHost() + ":" + at.getPort()).build();
        }
    }

    public static void main(String[] given) {
        index = given[0];
        for (int at = 1; at < given.length; at++) {
            url = given[at];
            try (var context = new AnnotationConfigApplicationContext(Shop.class)) {
                var products = context.getBean(Products.class);
                Pageable page = PageRequest.of(0, 40);
                say("derived", products.findByTitle("red sofa", page));
                say("written", products.searchOf("red sofa", "acme", page));
            }
        }
        System.exit(0);
    }

    static void say(String name, SearchHits<Product> found) {
        String ids = found.getSearchHits().stream().map(hit -> hit.getContent().id).collect(Collectors.joining(","));
        System.out.println(name + " " + found.getTotalHits() + " " + ids);
    }
}
