# One network for nodes in all zones and private endpoints of data services. Pods use an overlay network.
module "plan" {
  source  = "../modules/plan"
  name    = var.name
  network = var.network
  zones   = var.zones
  nodes   = var.nodes
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
  tags     = { application = "gatehouse" }
}

resource "azurerm_virtual_network" "this" {
  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  address_space       = [var.network]
}

resource "azurerm_subnet" "nodes" {
  name                 = "nodes"
  resource_group_name  = azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = [module.plan.nodes_cidr]
}

resource "azurerm_subnet" "data" {
  name                            = "data"
  resource_group_name             = azurerm_resource_group.this.name
  virtual_network_name            = azurerm_virtual_network.this.name
  address_prefixes                = [module.plan.data_cidr]
  default_outbound_access_enabled = false
}

# The gateway's public address; the Service of type LoadBalancer refers to it by this name.
resource "azurerm_public_ip" "gateway" {
  name                = "${var.name}-gateway"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  allocation_method   = "Static"
  sku                 = "Standard"
  zones               = var.zones
}

locals {
  # Services behind private endpoints, with the kind of endpoint and the DNS zone of their names.
  private = {
    redis = {
      id   = local.redis.id
      kind = local.redis.endpoint
      zone = local.redis.zone
    }
    openai = {
      id   = azurerm_cognitive_account.openai.id
      kind = "account"
      zone = "privatelink.openai.azure.com"
    }
  }
}

resource "azurerm_private_dns_zone" "this" {
  for_each            = local.private
  name                = each.value.zone
  resource_group_name = azurerm_resource_group.this.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each              = azurerm_private_dns_zone.this
  name                  = each.key
  resource_group_name   = azurerm_resource_group.this.name
  private_dns_zone_name = each.value.name
  virtual_network_id    = azurerm_virtual_network.this.id
}

resource "azurerm_private_endpoint" "this" {
  for_each            = local.private
  name                = "${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  subnet_id           = azurerm_subnet.data.id

  private_service_connection {
    name                           = each.key
    private_connection_resource_id = each.value.id
    subresource_names              = [each.value.kind]
    is_manual_connection           = false
  }
  private_dns_zone_group {
    name                 = each.key
    private_dns_zone_ids = [azurerm_private_dns_zone.this[each.key].id]
  }
  depends_on = [azurerm_private_dns_zone_virtual_network_link.this]
}
