# The store. Everything in it carries an expiry of its own; evicting would lose messages.
resource "azurerm_managed_redis" "this" {
  count                     = var.redis == "managed" ? 1 : 0
  name                      = "${var.global_name}-redis"
  resource_group_name       = azurerm_resource_group.this.name
  location                  = var.location
  sku_name                  = var.redis_sku
  high_availability_enabled = true
  public_network_access     = "Disabled"

  default_database {
    client_protocol                    = "Encrypted"
    clustering_policy                  = "NoCluster"
    eviction_policy                    = "NoEviction"
    access_keys_authentication_enabled = true
    # Persisted every second.
    persistence_append_only_file_backup_frequency = "1s"
  }
}

# Closed to new customers: replaced by Azure Managed Redis.
resource "azurerm_redis_cache" "this" {
  count                         = var.redis == "cache" ? 1 : 0
  name                          = "${var.global_name}-redis"
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.location
  family                        = "P"
  sku_name                      = "Premium"
  capacity                      = 1
  zones                         = var.zones
  replicas_per_primary          = length(var.zones) - 1
  minimum_tls_version           = "1.2"
  non_ssl_port_enabled          = false
  public_network_access_enabled = false

  redis_configuration {
    maxmemory_policy = "noeviction"
  }
}

locals {
  redis = var.redis == "managed" ? {
    id       = azurerm_managed_redis.this[0].id
    host     = azurerm_managed_redis.this[0].hostname
    port     = 10000
    key      = azurerm_managed_redis.this[0].default_database[0].primary_access_key
    endpoint = "redisEnterprise"
    zone     = "privatelink.redis.azure.net"
    } : {
    id       = azurerm_redis_cache.this[0].id
    host     = azurerm_redis_cache.this[0].hostname
    port     = 6380
    key      = azurerm_redis_cache.this[0].primary_access_key
    endpoint = "redisCache"
    zone     = "privatelink.redis.cache.windows.net"
  }
}
